# SPDX-License-Identifier: GPL-2.0-or-later
#
# make static [PROFILE=fast|small]: one binary that needs no library, build/static/PROFILE/postern.
# make check-static: both, and the tests that matter most for them.
#
#   PROFILE=fast     the default, 2 MB: assembler for big numbers and ciphers, used where the processor has what it takes
#   PROFILE=small    700 KB, for routers: a signature takes longer, and so does ChaCha20
#
# Both do what postern does with Debian's library, and pass the same tests.
# wolfSSL is built from Debian's source package, with Debian's security patches. src/static/fetch gets it into
# build/static/source; what is there already is used as it is: remove it to get a newer one. Of wolfSSL only
# what user_settings.h, beside this file, says is compiled; no configure script runs.
#
#   CC=cc            a compiler that links static programs by itself (a router's tool chain) instead of Debian's musl-gcc
#   WOLFSSL_SRC=dir  wolfSSL's sources, unpacked, from elsewhere

PROFILE ?= fast
STATIC = build/static
WOLFSSL_SRC ?= $(STATIC)/source/wolfssl

ifndef STATIC_BUILD

# Which files there are to compile is known only when they have been fetched: so make starts anew.
static:
	@tests/packages static
	@src/static/fetch $(STATIC) $(if $(wildcard $(WOLFSSL_SRC)/.),,wolfssl)
	@$(MAKE) --no-print-directory STATIC_BUILD=1 PROFILE='$(PROFILE)' BUILD='$(STATIC)/$(PROFILE)' all
	@echo "$(STATIC)/$(PROFILE)/postern: $$(wc -c <'$(STATIC)/$(PROFILE)/postern') bytes"

# What the C library or the parts of wolfSSL might change, in two minutes; all: make check POSTERN=build/static/small/postern.
CHECK_STATIC = $(addprefix tests/,static.py test_hardening.py test_client_certificates.py test_jail.py test_keys.py)
CHECK_STATIC_small = tests/test_faults.py
check-static:
	@tests/packages build check daemons
	@$(MAKE) --no-print-directory static PROFILE=small
	@$(MAKE) --no-print-directory static PROFILE=fast
	@POSTERN='$(CURDIR)/$(STATIC)/small/postern' $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 $(CHECK_STATIC) $(CHECK_STATIC_small)
	@POSTERN='$(CURDIR)/$(STATIC)/fast/postern' $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 $(CHECK_STATIC)

else

CFLAGS_fast = -O2
CFLAGS_small = -Os -flto=auto
CPPFLAGS_fast = -DPOSTERN_FAST
ifeq ($(CFLAGS_$(PROFILE)),)
$(error PROFILE=$(PROFILE): wants fast or small)
endif

# Nothing unwinds the stack: the tables for it would be a tenth of the program.
CFLAGS = $(CFLAGS_$(PROFILE)) -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables
# musl has neither of these.
CF_PROTECTION =
FORTIFY =
# With -flto the linker compiles once more: -w, since what it would warn of is in wolfSSL.
ALL_LDFLAGS = -static-pie -s -w -Wl,--gc-sections,--build-id=none,-z,relro,-z,now $(LDFLAGS)

# Debian's musl-gcc hides the kernel's headers and does not know -static-pie: src/static/fetch mends both.
ifeq ($(origin CC),default)
CC = gcc -specs $(STATIC)/musl.specs
endif

# What another version of wolfSSL lacks is left out; what the settings don't want is empty when compiled.
WOLFSSL_FILES = $(addprefix src/,crl.c internal.c keys.c ocsp.c ssl.c tls.c tls13.c wolfio.c) \
	$(addprefix wolfcrypt/src/,aes.c asn.c chacha.c chacha20_poly1305.c coding.c cpuid.c cryptocb.c curve25519.c ecc.c \
	ed25519.c error.c fe_low_mem.c fe_operations.c ge_low_mem.c ge_operations.c hash.c hmac.c kdf.c logging.c md5.c memory.c \
	poly1305.c pwdbased.c random.c rsa.c sha.c sha256.c sha512.c sp_arm64.c sp_c32.c sp_c64.c sp_int.c sp_x86_64.c \
	wc_encrypt.c wc_port.c wolfmath.c)
WOLFSSL_X86_64_FILES = $(addprefix wolfcrypt/src/,aes_asm.S aes_gcm_asm.S $(WOLFSSL_X86_64_FILES_$(PROFILE)))
WOLFSSL_X86_64_FILES_fast = chacha_asm.S fe_x25519_asm.S poly1305_asm.S sha256_asm.S sha512_asm.S sp_x86_64_asm.S
# 1, or nothing: what the compiler has of these names.
define_of = $(shell for name in $1; do echo $$name; done | $(CC) -E -P - 2>/dev/null | grep -x -m 1 1)
X86_64 := $(call define_of,__x86_64__)

THIRD = $(BUILD)/third
THIRD_SOURCES = $(wildcard $(addprefix $(WOLFSSL_SRC)/,$(WOLFSSL_FILES) $(if $(X86_64),$(WOLFSSL_X86_64_FILES))))
THIRD_OBJECTS = $(patsubst $(WOLFSSL_SRC)/%,$(THIRD)/wolfssl/%.o,$(THIRD_SOURCES))
PACKAGE_CFLAGS = -DWOLFSSL_USER_SETTINGS $(CPPFLAGS_$(PROFILE)) -isystem src/static -isystem $(WOLFSSL_SRC) \
	-idirafter $(STATIC)/include
PACKAGE_LIBS = $(THIRD_OBJECTS)

$(BUILD)/postern: $(THIRD_OBJECTS)
# The compiler does not track what it takes for system headers.
$(OBJECTS): src/static/user_settings.h

define COMPILE_THIRD
@mkdir -p $(@D)
$(SAY) '  CC $<'
$(Q)$(CC) $(PACKAGE_CFLAGS) $(HARDENING) $(CFLAGS) $(THIRD_FLAGS) -w -c -o $@ $<
endef

$(THIRD_OBJECTS): src/static/static.mk

$(THIRD)/wolfssl/%.o: $(WOLFSSL_SRC)/% src/static/user_settings.h $(BUILD)/flags
	$(COMPILE_THIRD)

# The assembler files ask for the settings in different ways, or not at all.
$(filter %.S.o,$(THIRD_OBJECTS)): THIRD_FLAGS = -include user_settings.h
# What uses the processor's own AES is called only where it has that.
$(THIRD)/wolfssl/wolfcrypt/src/aes.c.o: THIRD_FLAGS = $(if $(X86_64),-maes)

endif

.PHONY: static check-static
