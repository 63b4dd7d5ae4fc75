# Which packages a kickstart wants, with all that they require: their places below the repository, a line each.
# -v wanted="@core hello": names, and groups of comps.xml. Files: comps.xml, then primary.xml. What is nowhere is told as "! NAME".

function text(line) { gsub(/<[^>]*>|^[ \t]+|[ \t]+$/, "", line); return line }
function attribute(line, name) { sub(".*" name "=\"", "", line); sub(/".*/, "", line); return line }
function want(name, count, parts, at) {
    if (name == "" || name in seen) return
    seen[name] = 1
    if (name ~ /^@/) count = split(members[substr(name, 2)], parts, " ")
    else if (!(name in place)) { print "! " name; return }
    else count = split(requires[name], parts, " ")
    for (at = 1; at <= count; at++) want(parts[at])
    if (name in place) print place[name]
}

/<group>/ { group = "" }
/<id>/ && group == "" { group = text($0) }
/<packagereq/ { members[group] = members[group] " " text($0) }

/<package type=/ { package = "" }
/<name>/ && package == "" { package = text($0) }
/<location href=/ { place[package] = attribute($0, "href") }
/<rpm:requires>/ { requiring = 1 }
/<\/rpm:requires>/ { requiring = 0 }
requiring && /<rpm:entry/ { requires[package] = requires[package] " " attribute($0, "name") }

END {
    total = split(wanted, names, " ")
    for (number = 1; number <= total; number++) want(names[number])
}
