# SPDX-License-Identifier: GPL-2.0-or-later
#
# make static [PROFILE=fast|small] [CC=TARGET-gcc]: build one binary that needs no library, build/static/PROFILE/postern, or
#                  build/static/TARGET-PROFILE/postern for another processor (BUILD=folder: there).
# make check-static: build both, and run the tests that matter most for them.
# make check-cross: build for arm64 and armhf, and hold sessions through these programs under qemu-user.
# make size [PROFILE=fast|small] [CC=TARGET-gcc]: print what takes space in it, by library and by file.
#
#   PROFILE=fast     the default, 2 MB: with assembler for big numbers and ciphers, used if the processor supports it
#   PROFILE=small    for routers: signatures and ChaCha20 are slower
#
# Both have all features of a postern with Debian's library, and pass the same tests.
# wolfSSL is built from Debian's source package, with Debian's security patches. Debian's musl for the processor is
# unpacked, not installed. src/build/static/fetch puts both into build/static. It keeps what is there already: remove that
# to get newer versions. user_settings.h, beside this file, selects the parts of wolfSSL that are compiled; no configure
# script runs. Of this machine's headers and libraries only the kernel's headers are used.
#
#   CC=cc            gcc, one of Debian's cross compilers (aarch64-linux-gnu-gcc, arm-linux-gnueabihf-gcc,
#                    mipsel-linux-gnu-gcc, riscv64-linux-gnu-gcc, i686-linux-gnu-gcc ..., installed where it is missing), or
#                    any compiler that links static programs by itself, such as a router's tool chain
#   LIBC=own         the compiler's own C library in place of musl; always so if Debian has no musl for the processor
#   WOLFSSL_SRC=dir  another folder with wolfSSL's sources, unpacked
#   PQ=1, PQ=0       with or without post-quantum key exchange; by default with it if the sources have it (since 5.8.0)

PROFILE ?= fast
LIBC ?= musl
STATIC = build/static
WOLFSSL_SRC ?= $(STATIC)/source/wolfssl

# The name of a cross compiler begins with the target: mipsel-linux-gnu-gcc, arm-linux-gnueabihf-gcc-12.
STATIC_CC = $(if $(filter default,$(origin CC)),gcc,$(CC))
STATIC_NAMES = $(patsubst %-gcc-$(lastword $(subst -, ,$(STATIC_CC))),%-gcc,$(notdir $(STATIC_CC)))
STATIC_TARGET = $(firstword $(patsubst %-gcc,%-,$(filter %-gcc,$(STATIC_NAMES))))
STATIC_BUILD = $(if $(filter file,$(origin BUILD)),$(STATIC)/$(STATIC_TARGET)$(PROFILE),$(BUILD))

ifndef INSIDE_STATIC

# Runs make again after the fetch: only then the list of wolfSSL's files is known.
static: static-needs
	@$(MAKE) $(INSIDE) all
	@echo "$(STATIC_BUILD)/postern: $$(wc -c <'$(STATIC_BUILD)/postern') bytes"

size: static-needs
	@$(MAKE) $(INSIDE) BUILD='$(STATIC_BUILD)-size' CFLAGS_size=-g STRIP= all
	@src/build/static/size '$(STATIC_BUILD)-size/postern' '$(STATIC_CC)'

INSIDE = --no-print-directory INSIDE_STATIC=1 PROFILE='$(PROFILE)' BUILD='$(STATIC_BUILD)'
static-needs:
	@tests/packages static 'CC=$(STATIC_CC)'
	@src/build/static/fetch $(STATIC) '$(STATIC_CC)' '$(LIBC)' $(if $(wildcard $(WOLFSSL_SRC)/.),,wolfssl)

# Tests of what the C library and the choice of wolfSSL's parts can change; they take two minutes. To run all tests:
# make check POSTERN=build/static/small/postern.
CHECK_STATIC = $(addprefix tests/,static.py test_hardening.py test_client_certificates.py test_jail.py test_keys.py)
CHECK_STATIC_small = tests/test_faults.py
check-static:
	@tests/packages build check daemons
	@$(MAKE) --no-print-directory static PROFILE=small BUILD=$(STATIC)/small
	@$(MAKE) --no-print-directory static PROFILE=fast BUILD=$(STATIC)/fast
	@POSTERN='$(CURDIR)/$(STATIC)/small/postern' $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 $(CHECK_STATIC) $(CHECK_STATIC_small)
	@POSTERN='$(CURDIR)/$(STATIC)/fast/postern' $(PYTHON) -m pytest -q -p no:cacheprovider -n 2 $(CHECK_STATIC)

# Sessions of this machine's clients and daemons through programs for other processors, which qemu runs.
CROSS ?= aarch64-linux-gnu arm-linux-gnueabihf
CHECK_CROSS = static.py \
	test_sessions.py::test_curl_fetches_three_megabytes_over_imaps \
	test_sessions.py::test_curl_sends_three_megabytes_over_smtps \
	test_sessions.py::test_certificate_of_every_kind_is_served_and_verified \
	test_starttls_clients.py::test_a_client_holds_a_whole_session_after_starttls \
	test_tickets.py::test_a_postern_resumes_the_session_of_another_one \
	test_tickets.py::test_rotation_loses_nobody_until_the_third_one \
	test_tickets.py::test_a_ticket_is_not_accepted_for_another \
	test_client_certificates.py::test_a_good_certificate_is_accepted_and_names_its_user \
	test_client_certificates.py::test_a_bad_certificate_is_refused_with_the_right_alert_and_words \
	test_client_certificates.py::test_curl_fetches_mail_by_its_certificate_alone \
	test_keys.py
check-cross: $(CROSS:%=check-cross-%)
$(CROSS:%=check-cross-%): check-cross-%:
	@tests/packages build check daemons cross
	@$(MAKE) --no-print-directory static PROFILE=small CC=$*-gcc BUILD=$(STATIC)/$*-small
	@PYTHON='$(PYTHON)' POSTERN='$(CURDIR)/$(STATIC)/$*-small/postern' TESTS='$(CHECK_CROSS:%=tests/%)' tests/run

else

CFLAGS_fast = -O2
CFLAGS_small = -Os -flto=auto
CPPFLAGS_fast = -DPOSTERN_FAST
ifeq ($(CFLAGS_$(PROFILE)),)
$(error PROFILE=$(PROFILE): wants fast or small)
endif

# The compiler's flags, written by src/build/static/fetch. They select the C library and exclude this machine's headers.
COMPILER := $(STATIC_CC)
TARGET := $(shell $(COMPILER) -dumpmachine)
TARGET_FLAGS := $(shell cat '$(STATIC)/$(TARGET)/flags')
override CC := $(COMPILER) $(TARGET_FLAGS)
IS_MUSL := $(findstring /musl/specs,$(TARGET_FLAGS))
# Expands predefined macros of the compiler.
value_of = $(shell for name in $1; do echo $$name; done | $(COMPILER) -E -P - 2>/dev/null)
X86_64 := $(filter 1,$(call value_of,__x86_64__))

# Leaves out the tables for unwinding the stack, which no code uses: they would be a tenth of the program.
CFLAGS = $(CFLAGS_$(PROFILE)) -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables $(CFLAGS_size)
ifneq ($(IS_MUSL),)
# musl has neither of these.
CF_PROTECTION =
FORTIFY =
endif
# The program is loaded at random addresses if the C library supports that; glibc on arm and mips does not.
STATIC_PIE := $(if $(IS_MUSL)$(filter /%,$(shell $(COMPILER) -print-file-name=rcrt1.o)),-static-pie,-static -no-pie)
ifeq ($(filter -static-pie,$(STATIC_PIE)),)
$(info $(TARGET): the C library of $(COMPILER) knows no static programs for random addresses: this one has a fixed one)
endif
STRIP = -s
# With -flto the linker compiles again. -w: its warnings would be about wolfSSL.
ALL_LDFLAGS = $(STATIC_PIE) $(STRIP) -w -Wl,--gc-sections,--build-id=none,-z,relro,-z,now,-z,noexecstack $(LDFLAGS)

# Files that a version of wolfSSL lacks are left out. Files of features that the settings exclude compile to nothing.
WOLFSSL_FILES = $(addprefix src/,crl.c internal.c keys.c ocsp.c ssl.c tls.c tls13.c wolfio.c) \
	$(addprefix wolfcrypt/src/,aes.c asn.c chacha.c chacha20_poly1305.c coding.c cpuid.c cryptocb.c curve25519.c ecc.c \
	ed25519.c error.c fe_low_mem.c fe_operations.c ge_low_mem.c ge_operations.c hash.c hmac.c kdf.c logging.c md5.c memory.c \
	poly1305.c pwdbased.c random.c rsa.c sha.c sha256.c sha512.c sp_arm64.c sp_c32.c sp_c64.c sp_int.c sp_x86_64.c \
	wc_encrypt.c wc_port.c wolfmath.c)
WOLFSSL_X86_64_FILES = $(addprefix wolfcrypt/src/,aes_asm.S aes_gcm_asm.S $(WOLFSSL_X86_64_FILES_$(PROFILE)))
WOLFSSL_X86_64_FILES_fast = chacha_asm.S fe_x25519_asm.S poly1305_asm.S sha256_asm.S sha512_asm.S sp_x86_64_asm.S

# X25519MLKEM768 is in wolfSSL since 5.8.0, where these files have these names.
PQ ?= $(if $(wildcard $(WOLFSSL_SRC)/wolfcrypt/src/wc_mlkem.c),1,0)
ifneq ($(PQ),0)
ifeq ($(wildcard $(WOLFSSL_SRC)/wolfcrypt/src/wc_mlkem.c),)
$(error PQ=$(PQ): wolfSSL in $(WOLFSSL_SRC) has no post-quantum key exchange, 5.8.0 has: give a newer one by WOLFSSL_SRC=)
endif
WOLFSSL_FILES += $(addprefix wolfcrypt/src/,sha3.c wc_mlkem.c wc_mlkem_poly.c)
WOLFSSL_X86_64_FILES_fast += wc_mlkem_asm.S sha3_asm.S
CPPFLAGS_PQ = -DPOSTERN_PQ
endif

THIRD = $(BUILD)/third
THIRD_SOURCES = $(wildcard $(addprefix $(WOLFSSL_SRC)/,$(WOLFSSL_FILES) $(if $(X86_64),$(WOLFSSL_X86_64_FILES))))
THIRD_OBJECTS = $(patsubst $(WOLFSSL_SRC)/%,$(THIRD)/wolfssl/%.o,$(THIRD_SOURCES))

PACKAGES =
PACKAGE_CFLAGS = -DWOLFSSL_USER_SETTINGS $(CPPFLAGS_$(PROFILE)) $(CPPFLAGS_PQ) \
	-isystem src/build/static -isystem $(STATIC)/include -isystem $(WOLFSSL_SRC)
PACKAGE_LIBS = $(THIRD_OBJECTS)

$(BUILD)/postern: $(THIRD_OBJECTS)
# Tracks all headers: wolfSSL's and the settings count as system headers here.
DEPENDENCIES = -MD -MP

$(THIRD)/wolfssl/%.o: $(WOLFSSL_SRC)/% src/build/static/static.mk $(BUILD)/flags
	@mkdir -p $(@D)
	$(SAY) '  CC $<'
	$(Q)$(CC) $(PACKAGE_CFLAGS) $(HARDENING) $(CFLAGS) $(THIRD_FLAGS) -w $(DEPENDENCIES) -c -o $@ $<

-include $(THIRD_OBJECTS:.o=.d)

# Includes the settings: some assembler files do not do so.
$(filter %.S.o,$(THIRD_OBJECTS)): THIRD_FLAGS = -include user_settings.h
# X25519 needs this file, which in wolfSSL 5.9 compiles to nothing with small Ed25519.
$(THIRD)/wolfssl/wolfcrypt/src/fe_operations.c.o: THIRD_FLAGS = -DPOSTERN_X25519
# The code with the processor's AES instructions is called only if it has them.
$(THIRD)/wolfssl/wolfcrypt/src/aes.c.o: THIRD_FLAGS = $(if $(X86_64),-maes)

endif

.PHONY: static static-needs size check-static check-cross $(CROSS:%=check-cross-%)
