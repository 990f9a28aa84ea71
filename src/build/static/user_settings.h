/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `make static` compiles into wolfSSL (which wants this file's name): a TLS server, and no more
 * than postern uses. The words are wolfSSL's; POSTERN_FAST is set for PROFILE=fast. */
#ifndef POSTERN_USER_SETTINGS_H
#define POSTERN_USER_SETTINGS_H

/* One thread, no sockets, no client side: postern moves the bytes. The cache of sessions is not used,
 * but a ticket's lifetime can be set only where there is one. */
#define SINGLE_THREADED
#define WOLFSSL_USER_IO
#define NO_WOLFSSL_CLIENT
#define SMALL_SESSION_CACHE
#define WOLFSSL_GETRANDOM
#define WOLFSSL_IGNORE_FILE_WARN

#ifndef __ASSEMBLER__
#include <sys/time.h>
/* Without the client side, 5.5 declares this no more, but a function that nobody calls names it. */
struct WOLFSSL;
int wolfSSL_UseSessionTicket(struct WOLFSSL *ssl);
#endif

/* TLS and its extensions; 1.0 and 1.1, which --tls-min has to ask for, cost 4 KB. */
#define WOLFSSL_TLS13
#define WOLFSSL_ALLOW_TLSV10
#define HAVE_TLS_EXTENSIONS
#define HAVE_SUPPORTED_CURVES
#define HAVE_SERVER_RENEGOTIATION_INFO
#define HAVE_EXTENDED_MASTER
#define WOLFSSL_ECDHX_SHARED_NOT_ZERO
#define HAVE_FALLBACK_SCSV
#define HAVE_SNI
#define HAVE_ALPN
#define HAVE_SESSION_TICKET
#define HAVE_KEYING_MATERIAL

/* Certificates are judged, groups chosen and alerts sent as in Debian's build, with which postern is tested
 * most. Of the layer for OpenSSL's names, which is a part of that, hardly more is left in the program. */
#define OPENSSL_EXTRA
#define OPENSSL_ALL
#define WOLFSSL_EXTRA_ALERTS
#define WOLFSSL_ALT_CERT_CHAINS
#define WOLFSSL_ALWAYS_VERIFY_CB
#define WOLFSSL_VERIFY_CB_ALL_CERTS
#define WOLFSSL_FPKI

/* Revocation lists, stapling. */
#define HAVE_CRL
#define HAVE_OCSP
#define HAVE_CERTIFICATE_STATUS_REQUEST

/* The private key is in another process, and so is randomness. */
#define HAVE_PK_CALLBACKS
#define WOLF_CRYPTO_CB

/* Ciphers and hashes. SHA-1 is for OCSP and for the names of keys, MD5 for key files with a password in
 * the old form, both for TLS 1.0. */
#define HAVE_AESGCM
#define GCM_TABLE_4BIT
#ifndef POSTERN_FAST
#define WOLFSSL_AES_SMALL_TABLES
#endif
#define HAVE_CHACHA
#define HAVE_POLY1305
#define HAVE_ONE_TIME_AUTH
#define HAVE_HKDF
#define HAVE_HASHDRBG
#define WOLFSSL_SHA224
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512
#define NO_DES3
#define NO_DH
#define NO_DSA
#define NO_MD4
#define NO_PSK
#define NO_RC4

/* Keys. */
#define WC_RSA_PSS
#define WOLFSSL_PSS_LONG_SALT
#define WC_RSA_BLINDING
#define HAVE_ECC
#define HAVE_ECC384
#define HAVE_ECC521
#define ECC_SHAMIR
#define ECC_TIMING_RESISTANT
#define TFM_TIMING_RESISTANT
#define HAVE_CURVE25519
#define HAVE_ED25519
#if !defined(POSTERN_FAST) && !defined(POSTERN_X25519)
#define ED25519_SMALL /* 37 KB less; a signature takes milliseconds */
#endif

/* Post-quantum key exchange: X25519MLKEM768 and its likes, of which a server needs to encapsulate only. */
#ifdef POSTERN_PQ
#define WOLFSSL_HAVE_MLKEM
#define WOLFSSL_PQC_HYBRIDS
#define WOLFSSL_TLS_NO_MLKEM_STANDALONE
#define WOLFSSL_NO_ML_KEM_512
#define WOLFSSL_NO_ML_KEM_1024
#define WOLFSSL_MLKEM_NO_MAKE_KEY
#define WOLFSSL_MLKEM_NO_DECAPSULATE
#define WOLFSSL_SHA3
#define WOLFSSL_SHAKE128
#define WOLFSSL_SHAKE256
#ifndef POSTERN_FAST
#define WOLFSSL_MLKEM_SMALL
#define WOLFSSL_MLKEM_ENCAPSULATE_SMALL_MEM
#endif
#else
#define WOLFSSL_NO_SHAKE128
#define WOLFSSL_NO_SHAKE256
#endif

/* Key files with a password: PKCS#8 with PBES2. */
#define WOLFSSL_ENCRYPTED_KEYS

/* Big numbers. On the stack, which is wiped, and never on the heap. P-521, which is rare, is left to
 * the general functions: the table for it alone would be 700 KB. */
#define WOLFSSL_SP_MATH_ALL
#define SP_INT_BITS 4096
#define WOLFSSL_HAVE_SP_RSA
#define WOLFSSL_HAVE_SP_ECC
#define WOLFSSL_SP_384
#define WOLFSSL_SP_4096
#define WOLFSSL_SP_NO_MALLOC

#ifdef POSTERN_FAST
#define WOLFSSL_SP_LARGE_CODE
#else
#define WOLFSSL_SP_SMALL
#endif

/* What a configure script would find out. */
#define SIZEOF_LONG __SIZEOF_LONG__
#define SIZEOF_LONG_LONG __SIZEOF_LONG_LONG__
#ifdef __SIZEOF_INT128__
#define HAVE___UINT128_T
#endif
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define BIG_ENDIAN_ORDER
#endif
/* Some processors read words from addresses that are multiples of their size only. */
#if !defined(__x86_64__) && !defined(__i386__) && !defined(__aarch64__)
#define WOLFSSL_USE_ALIGN
#define WOLFSSL_SP_INT_DIGIT_ALIGN
#endif

/* Hardware, where the program finds out by itself whether it has it. */
#if defined(__x86_64__)
#define WOLFSSL_X86_64_BUILD
#define WOLFSSL_SP_X86_64
#define WOLFSSL_AESNI
#define WOLFSSL_USE_ALIGN
#ifndef POSTERN_FAST
#define NO_AVX2_SUPPORT
#else
#define USE_INTEL_SPEEDUP
#define WOLFSSL_SP_ASM
#define WOLFSSL_SP_X86_64_ASM
#endif
#endif

#if defined(__aarch64__) && defined(POSTERN_FAST)
#define WOLFSSL_SP_ASM
#define WOLFSSL_SP_ARM64_ASM
#endif

#endif
