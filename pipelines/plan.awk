# What make would make, a target a line, prerequisites first; reads what `LC_ALL=C make -n --trace -p ...` prints (GNU make 4).
#   awk -v programs='NAME NAME...' -f plan.awk      the names of the toolkit's programs
# Fields, separated by tabs:
#   target
#   kind: file or phony
#   output of the one program that does the work, if runs of shards can take its place; else -
#   programs its recipe runs, separated by blanks; - for none
#   targets of this list that it needs, separated by blanks; - for none
# Lines of kind later, behind: targets that make finds up to date as things stand, though something they need is made. (So it is where an
# intermediate file is missing that was not wanted when make looked at them.)

BEGIN {
    n = split(programs, word, " ")
    for (i = 1; i <= n; i++)
        program[word[i]] = 1
    n = part = 0
}

# --- recipes: each follows the line that says why its target is made
part == 0 && /^[^ :]+:[0-9]+: (update target|target) '/ {
    end_line()
    target = $0
    sub(/^[^']*'/, "", target)
    sub(/'.*/, "", target)
    name[++n] = target
    planned[target] = n
    next
}
part == 0 && /^# Make data base, printed on/ { end_line(); part = 1; next }
part == 0 && n && !/^make(\[[0-9]+\])?: / && !/^#/ {
    if (sub(/\\$/, "")) {
        line = line $0
    } else {
        line = line $0
        end_line()
    }
    next
}

# --- the data base: prerequisites, those of implicit rules too
/^# Files$/ { part = 2; next }
/^# files hash-table stats:/ { part = 3 }
part == 2 && /^# Not a target:/ { getline; file = ""; next }
part == 2 && /^[^#\t ].*:/ {
    at = index($0, ":")
    file = substr($0, 1, at - 1)
    rest = substr($0, at + 1)
    gsub(/[|]/, " ", rest)
    sub(/^:/, "", rest)
    needs[file] = needs[file] " " rest
    next
}
part == 2 && file != "" && /^#  Phony target/ { phony[file] = 1 }
part == 2 && file != "" && /^#  File has been updated/ { considered[file] = 1 }
part == 2 && file != "" && /^#  recipe to execute/ { if (file in considered) ready[++n_ready] = file }
part == 2 && file != "" && /^#  Also makes:/ { # one recipe for several files: whichever was planned stands for all
    sub(/^#  Also makes:/, "")
    k = split($0 " " file, word, " ")
    for (i = 1; i <= k; i++)
        group[word[i]] = group[word[i]] " " $0 " " file
}

END {
    for (i = 1; i <= n; i++) {
        target = name[i]
        found = ""
        split("", seen)
        seen[target] = 1
        k = split(group[target], word, " ")
        for (m = 1; m <= k; m++)
            seen[word[m]] = 1
        look(needs[target])
        # the work is one simple command, with its output named
        out = commands[i] == 1 && !others[i] ? output[i] : "-"
        printf "%s\t%s\t%s\t%s\t%s\n", target, target in phony ? "phony" : "file", out == "" ? "-" : out,
            runs[i] == "" ? "-" : substr(runs[i], 2), found == "" ? "-" : substr(found, 2)
    }
    for (i = 1; i <= n_ready; i++) {
        target = ready[i]
        if (target in planned || target in phony)
            continue
        made = 0
        for (m = split(group[target], word, " "); m > 0; m--)
            if (word[m] in planned)
                made = 1
        found = ""
        split("", seen)
        seen[target] = 1
        look(needs[target])
        if (!made && found != "")
            printf "%s\tlater\t-\t-\t-\n", target
    }
}

# Adds the planned ones among these files, and among what those need that are not planned, to found.
function look(files,    k, m, f, list, other, j, members)
{
    k = split(files, list, " ")
    for (m = 1; m <= k; m++) {
        f = list[m]
        if (f in seen)
            continue
        seen[f] = 1
        if (!(f in planned)) {
            j = split(group[f], members, " ")
            other = ""
            for (; j > 0; j--)
                if (members[j] in planned)
                    other = members[j]
            if (other == "") {
                look(needs[f])
                continue
            }
            if (other in seen)
                continue
            seen[other] = 1
            f = other
        }
        found = found " " f
    }
}

# Looks at one command line of the recipe of target n.
function end_line(    k, i, base, mine, at, word)
{
    k = split(line, word, /[ \t]+/)
    at = 1
    while (at <= k && word[at] == "")
        at++
    for (i = at; i <= k; i++) {
        base = word[i]
        sub(/.*\//, "", base)
        if (base in program && (i == at || word[i] ~ /\//)) {
            mine++
            if (index(runs[n] " ", " " base " ") == 0)
                runs[n] = runs[n] " " base
        }
    }
    if (mine) {
        commands[n] += mine
        base = word[at]
        sub(/.*\//, "", base)
        output[n] = line ~ /[|;&<>]/ ? "" : split_output(base, line)
    } else if (at <= k && (word[at] != "mkdir" || line ~ /[|;&<>]/)) {
        others[n] = 1
    }
    line = ""
}

# The output of a command that may run in shards, or nothing.
function split_output(base, command,    option)
{
    if (command ~ / --(shard|log|errors|config)[ =]/)
        return ""
    option = base == "clip-featurize" ? "--store" : base == "capt-beam" && command !~ / --max-bad[ =]/ ? "--out" : ""
    if (option == "" || !match(command, " " option "[ =]+[^ ]+"))
        return ""
    command = substr(command, RSTART, RLENGTH)
    sub(/^ --[a-z]+[ =]+/, "", command)
    return command == "-" || command ~ /["'\\$`]/ ? "" : command
}
