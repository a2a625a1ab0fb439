// Tables that are filled anew each second: rows and cells stay, and what has not changed is not touched. All that is
// shown goes in as text, never as HTML: names of keys and clients are anybody's.

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

// What a cell shows: a text, or {text, note, className, inner, share}: `note` is below it, `inner` the class of the text
// itself, `share` how much of the cell a bar behind it takes.
function fill(cell, column, content) {
  const { text, note = '', className = '', inner = '', share } = typeof content === 'object' ? content : { text: content };
  const zero = column.number && (text === '0' || text === '–') ? 'zero' : '';
  setClass(cell, [column.number ? 'number' : column.plain ? 'plain' : '', zero, className].filter(Boolean).join(' '));
  if (share !== undefined) cell.style.setProperty('--share', `${(share * 100).toFixed(1)}%`);
  if (cell.dataset.name !== column.name) cell.dataset.name = column.name;
  while (cell.children.length < 2) cell.append(document.createElement('span'));
  const [main, below] = cell.children;
  setText(main, text);
  setClass(main, inner || (column.key ? 'key' : ''));
  setText(below, note);
  setClass(below, 'note');
  below.hidden = note === '';
}

// `columns`: {name, of(row, place), number, key, plain, title}. Without rows it says `empty`.
export function table(element, columns, rows, empty) {
  if (!element.tHead) {
    const head = element.createTHead().insertRow();
    for (const column of columns) {
      const th = document.createElement('th');
      th.textContent = column.name;
      th.title = column.title ?? '';
      if (column.number) th.className = 'number';
      th.scope = 'col';
      head.append(th);
    }
    element.createTBody();
    const note = document.createElement('p');
    note.className = 'empty';
    element.after(note);
  }
  const body = element.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((row, i) => {
    const line = body.rows[i] ?? body.insertRow();
    columns.forEach((column, j) => fill(line.cells[j] ?? line.insertCell(), column, column.of(row, i)));
  });
  element.hidden = rows.length === 0;
  const note = element.nextElementSibling;
  note.hidden = rows.length > 0;
  setText(note, empty);
}

export { setText, setClass };
