/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the commands of `trit`. Standard output carries results (a table or
 * JSON). Standard error carries one line for each failure, and the progress bar. */
#ifndef CLI_H
#define CLI_H

#include <trit.h>

#include "client/cli/opt.h"

enum exit_code {
    DONE = 0,
    MISMATCH = 1, /* a failed verdict, or data or a plan that is refused */
    USAGE = 2,
    FAILED = 3,       /* a call failed, or a file cannot be read or written */
    INCONCLUSIVE = 4, /* nothing failed, but not everything could be checked */
};

struct command {
    const char *name;
    const char *arguments; /* "FILE -o OUT", for the usage line */
    const char *summary;   /* one line */
    const char *details;   /* more lines of --help, or NULL */
    option_bits options;   /* options that it accepts: bits OPTION_BIT(id) */
    size_t arguments_min, arguments_max;
    enum exit_code (*run)(const struct options *options);
    /* A group of commands, such as "layers": its commands, which are called as "GROUP
     * NAME", and then NULL. A group has only name and summary besides, unless it has
     * `run` for what names none of its commands. NULL: not a group. */
    const struct command *const *commands;
};

extern const struct command cmd_project, cmd_verify, cmd_inspect, cmd_diff, cmd_pack,
    cmd_unpack, cmd_attest, cmd_jobs, cmd_reports, cmd_layers, cmd_ping, cmd_token;

/* Writes "trit: ..." and a newline to standard error, escaped for a terminal.
 * Returns `code`, so that a failing command ends with `return complain(...)`. */
enum exit_code complain(enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes the error of a call, as "trit: NOT_FOUND: ...". Returns FAILED. */
enum exit_code complain_of_call(const struct trit_error *error);

/* A client for --server, --timeout and the other options of a connection. Otherwise it
 * complains and sets *client to NULL: USAGE if an option or environment variable has no
 * valid value. */
enum exit_code cli_connect(const struct options *options, struct trit_client **client);

/* Complains and returns USAGE if --from is above --to. `name`: of the command. */
enum exit_code cli_check_steps(const char *name, const struct options *options);

/* Runs a command with such a client and closes it. */
enum exit_code cli_with_client(enum exit_code (*run)(struct trit_client *client,
                                                     const struct options *options),
                               const struct options *options);

struct json_t;

/* Prints the JSON and a newline, and releases it. NULL means that memory ran out: then it
 * complains and returns FAILED. Otherwise it returns `code`. */
enum exit_code print_json(struct json_t *json, enum exit_code code);

/* The same on one line, for output that goes on. */
enum exit_code print_json_line(struct json_t *json);

#endif
