# The text of every section of a kickstart with this name (-v name=post), in order, from its %NAME line to its %end.
$1 == "%" name { inside = 1; next }
/^%end/ { inside = 0; next }
inside
