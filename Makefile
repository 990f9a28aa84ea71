# SPDX-License-Identifier: GPL-2.0-or-later
#
# make            build build/postern
# make demo       show it at work: a real IMAP daemon, read over TLS on loopback
# make check      run the tests (POSTERN=path: of another build; MATRIX=all: each row of the big tables)
# make install    into PREFIX (/usr/local), below DESTDIR; make uninstall: see src/package/package.mk
# make dist       the sources as build/dist/postern-VERSION.tar.gz
# make deb        a Debian package, build/postern_VERSION_ARCHITECTURE.deb
# make static     one binary that needs no library (PROFILE=small: for routers), see src/static/static.mk
# make check-static  build both and test them
# make check-releases  both in a bare Debian of each RELEASE ("bookworm trixie sid"), see tests/releases
# make check-lived-in  make check on a machine with users, mail, a syslog daemon, another language and no network
# make asan       run all tests under AddressSanitizer and UBSan
# make faults     make every system call fail in turn (make check: a sample of them)
# make valgrind   run a choice of the tests under valgrind
# make testssl    what testssl.sh says of us
# make tidy       cppcheck, gcc -fanalyzer, clang-tidy and clang-format
# make bench      what a connection costs, with postern and with others of its kind (CONNECTIONS=100 ONLY=pattern)
# make bench-deps what that needs besides, which is unpacked below build, not installed
# make scale      wait mode with 2,000 clients, and for ten minutes with clients of all kinds
# make fuzz       fuzz each parser for TIME seconds (60 in all)
# make clean
# make help       print this
#
# Variables: CC CFLAGS CPPFLAGS LDFLAGS LDLIBS PKG_CONFIG PREFIX DESTDIR BUILD, SECCOMP=0 to build
# without a list of system calls, V=1 to see the commands.

VERSION = 0.1
PREFIX ?= /usr/local
EMPTYDIR ?= $(PREFIX)/lib/postern/empty
BUILD ?= build
SECCOMP ?= 1
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3
CFLAGS ?= -O2 -g

PACKAGES = wolfssl
ifneq ($(SECCOMP),0)
FEATURES += -DPOSTERN_SECCOMP
endif

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
# _FORTIFY_SOURCE wants optimisation, and gets in the way of the sanitizers.
FORTIFY = $(if $(findstring -fsanitize,$(CFLAGS))$(findstring -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
# For x86 only; the compiler, which may be a cross compiler, knows.
CF_PROTECTION := $(shell $(CC) -Werror -fcf-protection -E -x c /dev/null >/dev/null 2>&1 && echo -fcf-protection)
HARDENING = -fPIE -fstack-protector-strong $(FORTIFY) $(CF_PROTECTION)

ALL_CPPFLAGS = -D_GNU_SOURCE -Isrc -DPOSTERN_VERSION='"$(VERSION)"' $(FEATURES) $(PACKAGE_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS = -std=c11 $(WARNINGS) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
PACKAGE_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
PACKAGE_LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES))

SOURCES = $(sort $(wildcard src/*.c src/dialect/*.c))
OBJECTS = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
# Never installed: a build whose gate can be told to break out, for tests/test_hostile_gate.py.
ifdef TEST_HOOK
FEATURES += -DPOSTERN_TEST
OBJECTS += $(BUILD)/obj/attempt.o
endif
LIBRARY = $(filter-out $(BUILD)/obj/postern.o,$(OBJECTS))
UNITS = $(sort $(wildcard tests/unit/*.c))
UNIT_PROGRAMS = $(UNITS:tests/unit/%.c=$(BUILD)/unit/%)

Q = $(if $(V),,@)
SAY = @$(if $(V),:,echo)

all: $(BUILD)/postern

# What stands at the top of this file, up to the first empty line.
help:
	@sed -n '/^$$/q; s/^# \{0,1\}//; 3,$$p' Makefile

include src/static/static.mk
include src/package/package.mk

$(BUILD)/postern: $(OBJECTS)
	$(SAY) '  LD $@'
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(OBJECTS) $(PACKAGE_LIBS) $(LDLIBS)

# Headers are tracked by the compiler; a change of the flags rebuilds everything.
$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(SAY) '  CC $<'
	$(Q)$(CC) $(ALL_CPPFLAGS) $(OWN_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/attempt.o: tests/hook/attempt.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(SAY) '  CC $<'
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Another PREFIX changes this file only.
$(BUILD)/obj/jail.o: private OWN_CPPFLAGS = -DPOSTERN_EMPTY_DIR='"$(EMPTYDIR)"'
$(BUILD)/obj/jail.o: $(BUILD)/emptydir

FLAGS = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(BUILD)/flags: WANTED = $(FLAGS)
$(BUILD)/emptydir: WANTED = $(EMPTYDIR)
$(BUILD)/flags $(BUILD)/emptydir: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(WANTED))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(WANTED))' >$@

$(BUILD)/unit/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(SAY) '  LD $@'
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(LIBRARY) \
		$(PACKAGE_LIBS) -lcmocka $(LDLIBS)

units: $(UNIT_PROGRAMS)

-include $(OBJECTS:.o=.d) $(UNIT_PROGRAMS:=.d)

# What is missing is installed first; then make starts anew, since it asks compiler and pkg-config.
demo:
	@tests/packages build demo imap4d
	@$(MAKE) --no-print-directory all
	@tests/demo $(BUILD)/postern

check:
	@tests/packages build check daemons
	@$(MAKE) --no-print-directory run-tests

POSTERN ?= $(BUILD)/postern
run-tests: all units
	@PYTHON='$(PYTHON)' POSTERN='$(abspath $(POSTERN))' tests/run $(UNIT_PROGRAMS)

# Making a package and completing a command line have nothing to do with them.
# What looks into the memory or the jail of the processes sees the sanitizers' own there; faketime wants to be loaded
# first, and so do they; and socat without nofork does not wait for what it started, which takes longer to end with them.
ASAN_LEAVES_OUT = --ignore=tests/test_secrets.py --ignore=tests/test_jail.py --ignore=tests/test_limits.py \
	--ignore=tests/test_hardening.py --ignore=tests/test_hostile_gate.py --ignore=tests/test_example_launchers.py \
	--ignore=tests/test_install.py --ignore=tests/test_completion.py \
	--deselect=tests/test_client_certificates.py::test_many_cas_cost_a_session_no_memory \
	--deselect=tests/test_tickets.py::test_a_ticket_is_good_for_two_hours \
	--deselect=tests/test_tickets.py::test_ticket_lifetime_says_for_how_long_it_is_good \
	--deselect=tests/test_launchers.py::test_launcher_starts_a_session_that_is_summed_up_in_the_log[SocatPair
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
asan:
	@tests/packages build check daemons
	@PYTEST_ARGS='$(ASAN_LEAVES_OUT)' $(MAKE) --no-print-directory BUILD=$(BUILD)/asan SECCOMP=0 LDFLAGS='$(SANITIZE)' \
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

# Without _FORTIFY_SOURCE, whose __memmove_chk valgrind takes for memcpy.
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

# A target is a file fuzz_NAME.c and a folder seeds/NAME; that of the dialects is built once for each.
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

# A library, of which a target gets only what it does not define itself.
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

clean:
	rm -rf $(BUILD)

.PHONY: all help units demo check check-releases check-lived-in run-tests asan testssl valgrind run-valgrind faults tidy bench bench-deps scale fuzz fuzz-targets clean FORCE
FORCE:
