# SPDX-License-Identifier: GPL-2.0-or-later
#
# make            build build/postern
# make demo       show postern at work: read mail from a real IMAP daemon over TLS on loopback
# make install    install into PREFIX (/usr/local), below DESTDIR; for make uninstall see src/build/package/package.mk
# make dist       pack the sources as build/dist/postern-VERSION.tar.gz
# make deb        build a Debian package, build/postern_VERSION_ARCHITECTURE.deb
# make static     build one binary that needs no library (PROFILE=small: for routers; CC=arm-linux-gnueabihf-gcc or the like: for
#                 another processor), see src/build/static/static.mk
# make size       print what takes space in that binary, by library and by file
# make clean      remove BUILD
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
# _FORTIFY_SOURCE needs optimisation, and does not work with the sanitizers.
FORTIFY = $(if $(findstring -fsanitize,$(CFLAGS))$(findstring -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
# The compiler writes down the headers of each object, without the system's.
DEPENDENCIES = -MMD -MP
# For x86 only. Asks the compiler, which may be a cross compiler.
CF_PROTECTION := $(shell $(CC) -Werror -fcf-protection -E -x c /dev/null >/dev/null 2>&1 && echo -fcf-protection)
HARDENING = -fPIE -fstack-protector-strong $(FORTIFY) $(CF_PROTECTION)

ALL_CPPFLAGS = -D_GNU_SOURCE -Isrc -DPOSTERN_VERSION='"$(VERSION)"' $(FEATURES) $(PACKAGE_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS = -std=c11 $(WARNINGS) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
PACKAGE_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
PACKAGE_LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES))

SOURCES = $(sort $(wildcard src/*.c src/*/*.c))
OBJECTS = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)

Q = $(if $(V),,@)
SAY = @$(if $(V),:,echo)

all: $(BUILD)/postern

# Prints the comments at the top of the makefiles, up to the first empty line.
help:
	@sed -n '/^$$/q; s/^# \{0,1\}//; 3,$$p' Makefile; \
		[ ! -e tests/tests.mk ] || { echo; sed -n '/^$$/q; s/^# \{0,1\}//; 3,$$p' tests/tests.mk; }

include src/build/static/static.mk
include src/build/package/package.mk
-include tests/tests.mk

$(BUILD)/postern: $(OBJECTS)
	$(SAY) '  LD $@'
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(OBJECTS) $(PACKAGE_LIBS) $(LDLIBS)

# Changed flags rebuild everything.
$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(SAY) '  CC $<'
	$(Q)$(CC) $(ALL_CPPFLAGS) $(OWN_CPPFLAGS) $(ALL_CFLAGS) $(DEPENDENCIES) -c -o $@ $<

# Only this file depends on PREFIX.
$(BUILD)/obj/start/jail.o: private OWN_CPPFLAGS = -DPOSTERN_EMPTY_DIR='"$(EMPTYDIR)"'
$(BUILD)/obj/start/jail.o: $(BUILD)/emptydir

FLAGS = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(BUILD)/flags: WANTED = $(FLAGS)
$(BUILD)/emptydir: WANTED = $(EMPTYDIR)
$(BUILD)/flags $(BUILD)/emptydir: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(WANTED))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(WANTED))' >$@

-include $(OBJECTS:.o=.d)

# Installs missing packages, then runs make again, since it asks the compiler and pkg-config when it starts.
demo:
	@tests/packages build demo imap4d
	@$(MAKE) --no-print-directory all
	@tests/demo $(BUILD)/postern

clean:
	rm -rf $(BUILD)

.PHONY: all help demo clean FORCE
FORCE:
