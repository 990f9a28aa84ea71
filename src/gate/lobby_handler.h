/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lobby's handler: gets the client's commands, and its answers are read and passed on. */
#ifndef POSTERN_LOBBY_HANDLER_H
#define POSTERN_LOBBY_HANDLER_H

#include "gate/lobby_client.h"

/* Ends the lobby since starting or stopping the handler, or leaving the lobby, gave `result`. `c` is the
 * command to be answered, or NULL. */
enum lobby_step lobby_handler_failed(struct lobby *l, const struct command *c, enum asked result);

/* Closes the handler's descriptors, if they are open. */
void lobby_close_handler(struct lobby *l);

/* Sends the handler's whole answer to command `c` to the client, edited by the dialect. */
enum lobby_step lobby_pass_answer(struct lobby *l, const struct command *c);

/* Sends the line just read, which is command `c`, to the handler and its answer to the client. Ends the
 * lobby after COMMAND_QUIT. */
enum lobby_step lobby_pass_command(struct lobby *l, const struct command *c);

/* The same for a command that leaves the lobby, or begins a mail transaction, if the handler says yes.
 * Until then the lobby is not left: a refused login must not open the way for one that the policy forbids.
 * c->tag points into this function's memory afterwards. */
enum lobby_step lobby_try_to_leave(struct lobby *l, struct command *c);

/* Leaves the lobby, then sends the handler the line that has just been read. */
enum lobby_step lobby_leave_at_once(struct lobby *l);

#endif
