# SPDX-License-Identifier: GPL-2.0-or-later
# make            builds build/postern
# make demo       shows it at work       make check   tests it
# make install    PREFIX=/usr/local, DESTDIR=
# Variables: CC CFLAGS CPPFLAGS LDFLAGS PKG_CONFIG PREFIX DESTDIR SECCOMP=0 BUILD

VERSION = 0.1
PREFIX ?= /usr/local
SBINDIR = $(PREFIX)/sbin
MANDIR = $(PREFIX)/share/man
EMPTYDIR = $(PREFIX)/lib/postern/empty
BUILD ?= build
SECCOMP ?= 1
PKG_CONFIG ?= pkg-config

PACKAGES = wolfssl inih
ifeq ($(SECCOMP),1)
PACKAGES += libseccomp
FEATURES += -DPOSTERN_SECCOMP
endif

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
HARDENING = -fPIE -fstack-protector-strong $(if $(findstring -fsanitize,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
CFLAGS ?= -O2 -g
LDFLAGS ?=

# -fcf-protection is for x86 only; ask the compiler, which may be a cross compiler.
CF_PROTECTION := $(shell $(CC) -Werror -fcf-protection -E -x c /dev/null >/dev/null 2>&1 && echo -fcf-protection)

ALL_CFLAGS = -std=c11 $(WARNINGS) $(HARDENING) $(CF_PROTECTION) $(CFLAGS)
ALL_CPPFLAGS = -D_GNU_SOURCE -Isrc -DPOSTERN_VERSION='"$(VERSION)"' \
	-DPOSTERN_EMPTY_DIR='"$(EMPTYDIR)"' $(FEATURES) $(PACKAGE_CFLAGS) $(CPPFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
PACKAGE_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
PACKAGE_LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES))

SOURCES = $(sort $(wildcard src/*.c src/dialect/*.c))
OBJECTS = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
LIBRARY = $(filter-out $(BUILD)/obj/postern.o,$(OBJECTS))
UNITS = $(sort $(wildcard tests/unit/*.c))
UNIT_PROGRAMS = $(UNITS:tests/unit/%.c=$(BUILD)/unit/%)

# make V=1 shows every command.
Q = $(if $(V),,@)

all: $(BUILD)/postern

$(BUILD)/postern: $(OBJECTS)
	@echo '  LD $@'
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(OBJECTS) $(PACKAGE_LIBS) $(LDLIBS)

# Headers are tracked by the compiler; a change of flags rebuilds everything.
$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo '  CC $<'
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

FLAGS = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS))' >$@

$(BUILD)/unit/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo '  LD $@'
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(LIBRARY) \
		$(PACKAGE_LIBS) -lcmocka $(LDLIBS)

-include $(OBJECTS:.o=.d) $(UNIT_PROGRAMS:=.d)

clean:
	rm -rf $(BUILD)

.PHONY: all clean FORCE
FORCE:
