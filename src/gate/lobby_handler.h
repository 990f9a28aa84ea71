/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Speaks with the handler before TLS: sends it commands, and its answers to the client. */
#ifndef POSTERN_LOBBY_HANDLER_H
#define POSTERN_LOBBY_HANDLER_H

#include "gate/lobby_client.h"

/* Ends the lobby since starting or stopping the handler, or leaving the lobby, failed with `result`. `c` is
 * the command to answer, or NULL. */
enum lobby_step lobby_handler_failed(struct lobby *l, const struct command *c, enum asked result);

/* Closes the handler's descriptors, if they are open. */
void lobby_close_handler(struct lobby *l);

/* Sends the handler's whole answer to command `c` to the client, edited by the dialect. */
enum lobby_step lobby_pass_answer(struct lobby *l, const struct command *c);

/* Sends the line just read, which is command `c`, to the handler and its answer to the client. Ends the
 * lobby after COMMAND_QUIT. */
enum lobby_step lobby_pass_command(struct lobby *l, const struct command *c);

/* Sends the line just read, which is command `c`, to the handler, and its challenges and answer to the
 * client. If the handler says yes, leaves the lobby, or begins a mail transaction. It does not leave before
 * that, since after a refused login the client could try one that the policy forbids. c->tag is invalid
 * afterwards. */
enum lobby_step lobby_try_to_leave(struct lobby *l, struct command *c);

/* Leaves the lobby, then sends the handler the line just read. */
enum lobby_step lobby_leave_at_once(struct lobby *l);

#endif
