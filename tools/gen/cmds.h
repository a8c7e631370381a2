/* The generator's commands: argv[1] is their name; the exit status. */
#ifndef GEN_CMDS_H
#define GEN_CMDS_H

int gen_cmd_logs(int argc, char **argv);
int gen_cmd_indicators(int argc, char **argv);

#endif
