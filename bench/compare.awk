# The results of compare.sh as a Markdown table: for each case and server the medians over the rounds.
#
# Input, with tabs: round, operation, pipeline, bytes, connections, server, requests/s, p50, p99, CPU us, joined, hit ratio.

BEGIN {
  FS = "\t"
  print "| case | server | requests/s | ratio | p50 ms | p99 ms | CPU us/request | ratio | to corral | requests/write | hit ratio |"
  print "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
}

{
  name = toupper($2) ", pipeline " $3 ", " $4 " B, " $5 " conn."
  if (!(name in seen_case)) { seen_case[name] = 1; case_at[++cases] = name }
  seen_pair[name, $6] = 1
  if ($1 > rounds) rounds = $1
  for (column = 7; column <= 12; ++column) value[name, $6, $1, column] = $column
}

# The median of values[1..count], by sorting them in place.
function median(values, count,    i, j, moved) {
  for (i = 2; i <= count; ++i) {
    moved = values[i]
    for (j = i - 1; j >= 1 && values[j] > moved; --j) values[j + 1] = values[j]
    values[j + 1] = moved
  }
  if (count == 0) return "-"
  return count % 2 ? values[(count + 1) / 2] : (values[count / 2] + values[count / 2 + 1]) / 2
}

# Over the rounds; with `other_server`, of the ratios to its value of the same round.
function over_rounds(name, server, column, other_server,    round, count, values, own, other) {
  count = 0
  for (round = 1; round <= rounds; ++round) {
    if (!((name, server, round, column) in value)) continue
    own = value[name, server, round, column]
    if (own == "-") continue
    other = 1
    if (other_server != "") other = (name, other_server, round, column) in value ? value[name, other_server, round, column] : 0
    if (other > 0) values[++count] = own / other
  }
  return median(values, count)
}

function shown(figure, format) { return figure == "-" ? "-" : sprintf(format, figure) }

END {
  orders = split("redis twemproxy corral ruled near", order, " ")
  for (i = 1; i <= cases; ++i) {
    for (k = 1; k <= orders; ++k) {
      name = case_at[i]; server = order[k]
      if (!((name, server) in seen_pair)) continue
      printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, server,
        shown(over_rounds(name, server, 7, ""), "%d"), shown(over_rounds(name, server, 7, "redis"), "%.2f"),
        shown(over_rounds(name, server, 8, ""), "%.3f"), shown(over_rounds(name, server, 9, ""), "%.3f"),
        shown(over_rounds(name, server, 10, ""), "%.2f"), shown(over_rounds(name, server, 10, "redis"), "%.2f"),
        shown(server == "near" ? over_rounds(name, server, 10, "corral") : "-", "%.2f"),
        shown(over_rounds(name, server, 11, ""), "%.1f"), shown(over_rounds(name, server, 12, ""), "%.3f")
    }
  }
}
