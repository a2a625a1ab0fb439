# The results of compare.sh as a Markdown table: for each case and server the medians over the rounds.
#
# Input, with tabs: round, operation, pipeline, bytes, connections, server, requests/s, p50, p99, CPU us, joined.

BEGIN {
  FS = "\t"
  print "| case | server | requests/s | ratio | p50 ms | p99 ms | CPU us/request | ratio | requests/write |"
  print "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
}

{
  name = toupper($2) ", pipeline " $3 ", " $4 " B, " $5 " conn."
  if (!(name in seen_case)) { seen_case[name] = 1; case_at[++cases] = name }
  if (!($6 in seen_server)) { seen_server[$6] = 1; server_count++ }
  if ($1 > rounds) rounds = $1
  for (column = 7; column <= 11; ++column) value[name, $6, $1, column] = $column
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

# Over the rounds; with `relative`, of the ratios to redis-server's value of the same round.
function over_rounds(name, server, column, relative,    round, count, values, own, other) {
  count = 0
  for (round = 1; round <= rounds; ++round) {
    if (!((name, server, round, column) in value)) continue
    own = value[name, server, round, column]
    if (own == "-") continue
    other = relative ? value[name, "redis", round, column] : 1
    if (other > 0) values[++count] = own / other
  }
  return median(values, count)
}

function shown(figure, format) { return figure == "-" ? "-" : sprintf(format, figure) }

END {
  orders = split("redis twemproxy corral ruled", order, " ")
  for (i = 1; i <= cases; ++i) {
    for (k = 1; k <= orders; ++k) {
      name = case_at[i]; server = order[k]
      if (!(server in seen_server)) continue
      printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, server,
        shown(over_rounds(name, server, 7, 0), "%d"), shown(over_rounds(name, server, 7, 1), "%.2f"),
        shown(over_rounds(name, server, 8, 0), "%.3f"), shown(over_rounds(name, server, 9, 0), "%.3f"),
        shown(over_rounds(name, server, 10, 0), "%.2f"), shown(over_rounds(name, server, 10, 1), "%.2f"),
        shown(over_rounds(name, server, 11, 0), "%.1f")
    }
  }
}
