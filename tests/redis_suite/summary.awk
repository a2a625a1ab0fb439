# A table of the results (lines as of results.awk), and in -v failed=FILE the tests that failed: UNIT | TEST | MESSAGE.
# Tests in -v expected=FILE, of lines UNIT | TEST | REASON, may fail: exit status 1 if another one did.
# With -v control=FILE, results of a control run: what passed there more often than here is told, too.
BEGIN {
  FS = "\t"
  printf "" >failed
  while ((getline line <expected) > 0) {
    if (line ~ /^ *(#|$)/) continue
    split(line, part, " [|] ")
    may_fail[part[1] " | " part[2]] = 1
  }
}

!($1 in seen) { units[++unit_count] = $1 }
{ seen[$1] = 1 }
$2 == "ok" || $2 == "ignore" {
  ++count[$1, $2]
  ++total[$2]
  if ($2 == "ok") ++passed[$1 " | " $3]
  next
}
{
  ++count[$1, $2 == "err" ? "err" : "exception"]
  ++total[$2 == "err" ? "err" : "exception"]
  test = $1 " | " $3
  did_fail[test] = 1
  print test " | " ($2 == "err" ? "" : $2 ": ") $4 >failed
  if (!(test in may_fail)) unexpected[++unexpected_count] = test
}

function row(name, ok, err, exception, ignore) {
  printf "%-28s %6d %6d %10d %8d\n", name, ok, err, exception, ignore
}

function compare(  line, part, test, passed_there) {
  while ((getline line <control) > 0) {
    split(line, part, "\t")
    if (part[2] == "ok" && (part[1] in seen)) ++passed_there[part[1] " | " part[3]]
  }
  for (test in passed_there)
    if (passed[test] < passed_there[test] && !(test in did_fail)) print "passes in the control run only: " test
}

END {
  printf "%-28s %6s %6s %10s %8s\n", "unit", "ok", "err", "exception", "ignore"
  for (i = 1; i <= unit_count; ++i) {
    u = units[i]
    if (count[u, "ok"] + count[u, "err"] + count[u, "exception"] > 0)
      row(u, count[u, "ok"], count[u, "err"], count[u, "exception"], count[u, "ignore"])
  }
  row("total", total["ok"], total["err"], total["exception"], total["ignore"])
  for (test in may_fail) if ((test in passed) && !(test in did_fail)) print "passes, though expected to fail: " test
  for (i = 1; i <= unexpected_count; ++i) print "failed: " unexpected[i]
  if (control != "") compare()
  exit unexpected_count > 0
}
