# The manual page of the settings, made of the annotated file (config/corral.toml), so that no setting is told of twice:
#   awk -f corral.toml.5.awk -v version=0.1.0 -v file=/etc/corral/corral.toml corral.toml
#
# A setting is some lines of comment, one indented line that says what is allowed, and `key = value` with the default.
# What is commented out as a whole (sections that are off by default) has one more "# " before each line.

function escape(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  if (text ~ /^[.']/) text = "\\&" text
  return text
}

function flush_text() {
  if (text != "") print ".PP\n" escape(text)
  text = allowed = ""
}

BEGIN {
  print ".TH CORRAL.TOML 5 \"\" \"corral " version "\" \"Corral\""
  print ".SH NAME\ncorral.toml \\- settings of the proxy corral"
  print ".SH DESCRIPTION"
  print "The file is TOML. \\fBcorral \\-\\-check \\-\\-config " escape(file) "\\fR says whether it is right;"
  print "SIGHUP makes a running corral load it again (see corral(1)). A password in it is in plain text, so the file should"
  print "not be readable by all. Each setting follows with its default."
}

{ line = $0 }
# A section or a setting that is commented out: as if it were not.
line ~ /^# (\[|# |#$|[a-z_]+ = )/ { line = substr(line, 3) }

line ~ /^\[/ {
  gsub(/[ \t]+#.*/, "", line)
  heading = text
  text = ""
  print ".SH " escape(line)
  text = heading
  flush_text()
  next
}
line ~ /^#   / { allowed = substr(line, 5); next }
line ~ /^# / { text = text (text == "" ? "" : " ") substr(line, 3); next }
line ~ /^#?$/ { flush_text(); next }
line ~ /^[a-z_]+ = / {
  print ".TP\n\\fB" escape(line) "\\fR"
  print escape(text)
  if (allowed != "") print ".br\n" escape(allowed) "."
  text = allowed = ""
}

END {
  flush_text()
  print ".SH FILES\n.I " escape(file)
  print ".SH SEE ALSO\ncorral(1)"
}
