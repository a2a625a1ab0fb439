// Lines and the map of slots, as SVG.

const kSvg = 'http://www.w3.org/2000/svg';
const kHeight = 30;

function part(svg, index, name, className) {
  const old = svg.children[index];
  if (old) return old;
  const element = document.createElementNS(kSvg, name);
  element.setAttribute('class', className);
  return svg.appendChild(element);
}

// `values`, oldest first; where one is null the line is broken. The newest is at the right edge, `room` values fit.
// `top`: the least that the height stands for.
export function line(svg, values, room, top) {
  const highest = Math.max(top, ...values.filter((value) => value !== null));
  const x = (i) => room - values.length + i;
  const y = (value) => (kHeight - 1 - (value / highest) * (kHeight - 3)).toFixed(2);
  let stroke = '';
  let area = '';
  for (let i = 0; i < values.length; ++i) {
    if (values[i] === null) continue;
    const begins = i === 0 || values[i - 1] === null;
    const ends = i + 1 === values.length || values[i + 1] === null;
    const point = `${x(i)} ${y(values[i])}`;
    stroke += (begins ? 'M' : 'L') + point;
    area += begins ? `M${x(i)} ${kHeight}L${point}` : `L${point}`;
    if (ends) area += `L${x(i)} ${kHeight}Z`;
  }
  svg.setAttribute('viewBox', `0 0 ${room - 1} ${kHeight}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  part(svg, 0, 'path', 'area').setAttribute('d', area);
  part(svg, 1, 'path', 'stroke').setAttribute('d', stroke);
}

// `runs`: [place of the owner among the nodes, cells], -1 for nobody.
export function slots(svg, runs, cells, nodes) {
  svg.setAttribute('viewBox', `0 0 ${cells} 1`);
  svg.setAttribute('preserveAspectRatio', 'none');
  let at = 0;
  runs.forEach(([owner, length], i) => {
    const rect = part(svg, i, 'rect', '');
    rect.setAttribute('class', nodeClass(owner));
    rect.setAttribute('x', at);
    rect.setAttribute('width', length);
    rect.setAttribute('height', 1);
    part(rect, 0, 'title', '').textContent = owner < 0 ? 'nobody' : nodes[owner].name;
    at += length;
  });
  while (svg.children.length > runs.length) svg.lastChild.remove();
}

export function nodeClass(place) {
  return place < 0 ? 'nobody' : `n${place % 8}`;
}
