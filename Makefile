# The commands of this project. Each is one line of `python3 -m sendserver.local`, which works without make too.
# ARGS passes arguments on: make test ARGS="campaigns -k retry", make manage ARGS="createsuperuser".

PYTHON ?= python3
# -E: a PYTHONPATH or PYTHONHOME of the caller is for another project.
LOCAL = @$(PYTHON) -E -m sendserver.local

.PHONY: run reset test check manage mutants torture postfix-pair bench bench-full bench-import proof

run:
	$(LOCAL) run

reset:
	$(LOCAL) reset

test:
	$(LOCAL) test $(ARGS)

check:
	$(LOCAL) check

manage:
	$(LOCAL) manage $(ARGS)

mutants:
	$(LOCAL) mutants $(ARGS)

bench:
	$(LOCAL) bench $(ARGS)

bench-full:
	$(LOCAL) bench --full $(ARGS)

# ROWS=n rows of the list.
bench-import:
	$(LOCAL) bench-import $(ARGS)

# SEEDS=n rounds a fault, FAULTS=1,6,21 for some faults only.
torture:
	$(LOCAL) torture

# Needs root. PEOPLE=n, RATE=messages a second and relay, AWAY=seconds that one of them is dead.
postfix-pair:
	$(LOCAL) postfix-pair

# ARGS="--only dump --people 2000" for a look while working.
proof:
	$(LOCAL) proof $(ARGS)
