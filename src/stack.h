/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stack of a process that has done its deepest work and now only waits. Layer 0. */
#ifndef POSTERN_STACK_H
#define POSTERN_STACK_H

/* Gives back to the system what deeper calls than this one have used of the stack. */
void stack_trim(void);

#endif
