/* SPDX-License-Identifier: Apache-2.0 */
/* trit: finds the command, parses its options, runs it, and sees to it that what
 * it printed arrived. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"

static const struct command *const commands[] = {
    &cmd_project, &cmd_verify, &cmd_inspect, &cmd_diff,    &cmd_pack,
    &cmd_unpack,  &cmd_attest, &cmd_jobs,    &cmd_reports, &cmd_layers,
    &cmd_ping,    &cmd_token,  NULL,
};

/* The command of a group is found by the last word of its name. */
static const char *word_of(const struct command *command)
{
    const char *space = strrchr(command->name, ' ');

    return space ? space + 1 : command->name;
}

static const struct command *find_command(const struct command *const *among,
                                          const char *word)
{
    while (*among && strcmp(word_of(*among), word) != 0)
        among++;
    return *among;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
           strcmp(word, "help") == 0;
}

static void print_commands(const struct command *const *among, FILE *out)
{
    for (; *among; among++)
        fprintf(out, "  %-9s %s\n", word_of(*among), (*among)->summary);
}

static void print_help(FILE *out)
{
    fputs("usage: trit COMMAND [ARGUMENT...]\n\n"
          "Ternarizes and validates neural-network weights with a tritd daemon.\n\n",
          out);
    print_commands(commands, out);
    fputs(
        "\n`trit COMMAND --help` says more; `trit --version` names the version.\n"
        "TRITD_ADDRESS or --server names the daemon: host:port or unix:/path.\n"
        "Exit codes: 0 success, 1 a failed verdict or refused data, 2 usage, "
        "3 a call or\na file failed, 4 inconclusive: not everything could be checked.\n",
        out);
}

static void print_group_help(const struct command *group, FILE *out)
{
    fprintf(out, "usage: trit %s COMMAND [ARGUMENT...]\n\n%s\n\n", group->name,
            group->summary);
    print_commands(group->commands, out);
    fprintf(out, "\n`trit %s COMMAND --help` says more.\n", group->name);
}

static void print_command_help(const struct command *command)
{
    printf("usage: trit %s %s\n\n%s\n", command->name, command->arguments,
           command->summary);
    if (command->details)
        printf("\n%s\n", command->details);
    if (command->commands) {
        printf("\nor: trit %s COMMAND [ARGUMENT...]\n\n", command->name);
        print_commands(command->commands, stdout);
        printf("\n`trit %s COMMAND --help` says more.\n", command->name);
    }
    putchar('\n');
    options_help(command->options, stdout);
}

static enum exit_code run_command(const struct command *command, int argc,
                                  char *const *argv)
{
    struct options options;
    char error[OPTION_ERROR_BYTES];

    if (options_parse(&options, command->options, argc, argv, error) != 0)
        return complain(USAGE, "%s: %s (try trit %s --help)", command->name, error,
                        command->name);
    if (option_given(&options, OPTION_HELP)) {
        print_command_help(command);
        return DONE;
    }
    if (options.argument_count < command->arguments_min ||
        options.argument_count > command->arguments_max)
        return complain(USAGE, "usage: trit %s %s", command->name, command->arguments);
    return command->run(&options);
}

static enum exit_code run_group(const struct command *group, int argc, char *const *argv)
{
    const struct command *command;

    if (argc == 0 || is_help(argv[0])) {
        print_group_help(group, argc == 0 ? stderr : stdout);
        return argc == 0 ? USAGE : DONE;
    }
    command = find_command(group->commands, argv[0]);
    if (!command)
        return complain(USAGE, "%s: unknown command '%.64s' (try trit %s --help)",
                        group->name, argv[0], group->name);
    return run_command(command, argc - 1, argv + 1);
}

/* Does the word after it, or NULL, choose among the command's own commands? One that takes no
 * arguments takes any word for the name of one of them. */
static bool is_group(const struct command *command, const char *word)
{
    if (!command->commands || !command->run || !word)
        return command->commands && !command->run;
    return find_command(command->commands, word) ||
           (command->arguments_max == 0 && word[0] != '-');
}

static enum exit_code run(int argc, char *const *argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    const struct command *command;

    if (!name) {
        print_help(stderr);
        return USAGE;
    }
    if (is_help(name)) {
        print_help(stdout);
        return DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("trit %s\n", trit_version());
        return DONE;
    }
    command = find_command(commands, name);
    if (!command)
        return complain(USAGE, "unknown command '%.64s' (try trit --help)", name);
    return (is_group(command, argc > 2 ? argv[2] : NULL) ? run_group : run_command)(
        command, argc - 2, argv + 2);
}

/* Output that cannot be written is a failure, except to a closed pipe (`| head`). */
static enum exit_code flush_output(enum exit_code code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno == EPIPE)
        return FAILED;
    return complain(FAILED, "cannot write to standard output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ,
           SIG_IGN); /* a write beyond `ulimit -f` fails like one on a full disk */
    return (int)flush_output(run(argc, argv));
}
