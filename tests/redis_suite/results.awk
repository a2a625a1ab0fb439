# The output of `runtest` for one unit (-v unit=NAME) as lines of UNIT, KIND, TEST and MESSAGE, with tabs between.
# KIND is ok, err (an assertion failed, or the test ended with an error), ignore (left out) or exception (the rest of
# the unit did not run).
BEGIN { OFS = "\t" }

function flush_error() {
  if (name == "") return
  gsub(/\t/, " ", message)
  print unit, "err", name, message
  name = ""
}

# What follows the last result is a summary, which repeats them.
/^ +The End$/ { ended = 1 }
ended { next }

# An error goes on for some lines; the first two tell what is wrong.
name != "" && lines > 0 && !/\[(ok|err|ignore|exception|TIMEOUT)\]: / && !/^\[[0-9]+\/[0-9]+ done\]/ {
  # An error that is no assertion comes twice, the first time without its first ten letters.
  if ($0 !~ /^ |^$/) message = index($0, message) > 0 ? $0 : message " ~ " $0
  --lines
  next
}

# A test may have printed something without a line's end before.
/\[ok\]: / {
  flush_error()
  sub(/^.*\[ok\]: /, "")
  sub(/ \([0-9]+ ms\)$/, "")
  print unit, "ok", $0, ""
}
/\[ignore\]: / {
  flush_error()
  sub(/^.*\[ignore\]: /, "")
  print unit, "ignore", $0, ""
}
/\[err\]: / {
  flush_error()
  sub(/^.*\[err\]: /, "")
  message = ""
  lines = 2
  if (!sub(/ in tests\/[^ ]*\.tcl$/, "")) {  # code between the tests failed, and with it the rest of its block
    message = $0
    $0 = "(between tests)"
  }
  name = $0
}
/\[exception\]: / {
  flush_error()
  sub(/^.*\[exception\]: /, "")
  print unit, "exception", "(rest of the unit)", $0
  finished = 1
}
/\[TIMEOUT\]: / { flush_error() }
/^\[[0-9]+\/[0-9]+ done\]/ {
  flush_error()
  finished = 1
}

END {
  flush_error()
  if (!finished) print unit, "exception", "(rest of the unit)", "the unit did not end"
}
