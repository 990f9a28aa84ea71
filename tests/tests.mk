# SPDX-License-Identifier: GPL-2.0-or-later
#
# make check      run the tests (T=test_lobby: one file; K=injection: tests with this in their names; MATRIX=all: each row
#                 of the big tables; POSTERN=path: test another build)
# make unit       run the unit tests alone, in less than a minute
# make check-static    build static programs and test them
# make check-cross     build static programs for arm64 and armhf, and hold sessions through them, run by qemu
# make check-releases  run make demo and make check in a bare Debian of each RELEASE ("bookworm trixie sid")
# make check-lived-in  run make check on a machine with users, mail, a syslog daemon, another language and no network
# make asan       run all tests under AddressSanitizer and UBSan
# make faults     make every system call fail in turn (make check: a sample of them)
# make valgrind   run some of the tests under valgrind
# make testssl    run testssl.sh against postern
# make tidy       run cppcheck, gcc -fanalyzer, clang-tidy and clang-format
# make bench      measure the cost of a connection, with postern and with similar programs (CONNECTIONS=100 ONLY=pattern)
# make bench-deps get those programs; they are unpacked below build, not installed
# make scale      run wait mode with 2,000 clients, and for ten minutes with clients of all kinds
# make fuzz       fuzz each parser for TIME seconds (60 in all)

UNITS = $(sort $(wildcard tests/unit/*.c))
UNIT_PROGRAMS = $(UNITS:tests/unit/%.c=$(BUILD)/unit/%)

# A build whose gate can be told to break out, for tests/test_hostile_gate.py. It is never installed.
ifdef TEST_HOOK
FEATURES += -DPOSTERN_TEST
OBJECTS += $(BUILD)/obj/attempt.o
endif
LIBRARY = $(filter-out $(BUILD)/obj/postern.o,$(OBJECTS))

$(BUILD)/obj/attempt.o: tests/hook/attempt.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(SAY) '  CC $<'
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(DEPENDENCIES) -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(SAY) '  LD $@'
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(LIBRARY) \
		$(PACKAGE_LIBS) -lcmocka $(LDLIBS)

units: $(UNIT_PROGRAMS)

-include $(UNIT_PROGRAMS:=.d)

check:
	@tests/packages build check daemons
	@$(MAKE) --no-print-directory run-tests

POSTERN ?= $(BUILD)/postern
run-tests: all units
	@PYTHON='$(PYTHON)' POSTERN='$(abspath $(POSTERN))' TESTS='$(or $(patsubst %,tests/%.py,$(basename $(T))),$(TESTS))' \
		K='$(K)' tests/run $(if $(T)$(K),,$(UNIT_PROGRAMS))

unit:
	@tests/packages build unit
	@$(MAKE) --no-print-directory run-units

run-units: units
	@TESTS=none tests/run $(UNIT_PROGRAMS)

# Tests that fail under a sanitizer because of it are marked: pytest.mark.not_sanitized.
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
asan:
	@tests/packages build check daemons
	@SANITIZED=1 $(MAKE) --no-print-directory BUILD=$(BUILD)/asan SECCOMP=0 LDFLAGS='$(SANITIZE)' \
		CFLAGS='-O1 -g -fno-omit-frame-pointer $(SANITIZE)' run-tests

check-releases:
	@tests/packages releases
	@SHORT='$(SHORT)' MIRROR='$(MIRROR)' ROOTS='$(abspath $(BUILD))/roots' \
		tests/releases $(or $(RELEASE),bookworm trixie sid)

check-lived-in:
	@tests/packages releases
	@RELEASE='$(RELEASE)' TESTS='$(TESTS)' MIRROR='$(MIRROR)' ROOTS='$(abspath $(BUILD))/roots' tests/lived-in

testssl: all
	@tests/packages build check ci
	@POSTERN='$(abspath $(POSTERN))' $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 tests/testssl.py

# Without _FORTIFY_SOURCE: valgrind mistakes its __memmove_chk for memcpy.
valgrind:
	@tests/packages build check ci daemons
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/valgrind CFLAGS='-O1 -g -U_FORTIFY_SOURCE' run-valgrind

run-valgrind: all units
	@PYTHON='$(PYTHON)' POSTERN='$(abspath $(BUILD)/postern)' tests/valgrind $(UNIT_PROGRAMS)

tidy:
	@tests/packages build ci
	@CPPFLAGS="$(subst ",\",$(ALL_CPPFLAGS))" tests/tidy $(SOURCES)

faults: all
	@tests/packages build check
	@FAULTS=all POSTERN='$(abspath $(POSTERN))' $(PYTHON) -m pytest -q -p no:cacheprovider -n 4 tests/test_faults.py

bench: all
	@$(PYTHON) tests/bench '$(POSTERN)' '$(BUILD)/bench' $(or $(CONNECTIONS),100) '$(ONLY)'
scale: all
	@$(PYTHON) tests/bench/scale.py '$(POSTERN)' $(IDLE) $(ROW) $(SECONDS)
bench-deps:
	@tests/packages build bench

# A target is a file fuzz_NAME.c and a folder seeds/NAME. fuzz_dialect.c is built once for each dialect.
FUZZ_DIALECTS = imap pop3 smtp lmtp sieve nntp
FUZZ_OTHERS = $(filter-out dialect,$(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c))))
FUZZ_TARGETS = $(FUZZ_DIALECTS:%=dialect-%) $(FUZZ_OTHERS)
FUZZ_SHARED = $(filter-out $(wildcard tests/fuzz/fuzz_*.c),$(wildcard tests/fuzz/*.c))
FUZZ_CFLAGS = -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=fuzzer-no-link,address,undefined

fuzz:
	@tests/packages build ci
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang CFLAGS='$(FUZZ_CFLAGS)' fuzz-targets
	@TIME='$(TIME)' tests/fuzz/run $(BUILD)/fuzz $(FUZZ_TARGETS)

fuzz-targets: $(FUZZ_TARGETS:%=$(BUILD)/%)

# A library: the linker takes only the objects that a target does not replace by its own functions.
$(BUILD)/fuzz.a: $(LIBRARY)
	$(SAY) '  AR $@'
	$(Q)rm -f $@ && ar rcs $@ $^

LINK_FUZZ = $(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $< $(FUZZ_SHARED) \
	$(BUILD)/fuzz.a $(PACKAGE_LIBS) $(LDLIBS)
$(BUILD)/dialect-%: tests/fuzz/fuzz_dialect.c $(BUILD)/fuzz.a $(FUZZ_SHARED) $(wildcard tests/fuzz/*.h)
	$(SAY) '  LD $@'
	$(LINK_FUZZ) -DFUZZ_DIALECT=dialect_$*

$(FUZZ_OTHERS:%=$(BUILD)/%): $(BUILD)/%: tests/fuzz/fuzz_%.c $(BUILD)/fuzz.a $(FUZZ_SHARED) $(wildcard tests/fuzz/*.h)
	$(SAY) '  LD $@'
	$(LINK_FUZZ)

.PHONY: units unit run-units check check-releases check-lived-in run-tests asan testssl valgrind run-valgrind faults \
	tidy bench bench-deps scale fuzz fuzz-targets
