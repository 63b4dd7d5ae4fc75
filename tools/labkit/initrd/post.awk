# The shell text of every %post section of a kickstart, in order. A section runs from its %post line to its %end.
/^%post/ { inside = 1; next }
/^%end/ { inside = 0; next }
inside
