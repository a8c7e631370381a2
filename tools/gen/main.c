/*
 * noroshi-gen: realistic mixed logs of one organisation with planted
 * indicators, and the exact ground truth. Same options, same octets: nothing
 * depends on the clock, the locale, the address space or libm. See README.md.
 */
#include "cmds.h"

#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
    if (argc >= 2 && !strcmp(argv[1], "logs"))
        return gen_cmd_logs(argc, argv);
    if (argc >= 2 && !strcmp(argv[1], "indicators"))
        return gen_cmd_indicators(argc, argv);
    fputs("usage: gen logs --out DIR [--bytes 1G] [--seed 1] [--span "
          "2016-01-01..2017-12-31] [--org NAME] [--hosts 2000]\n"
          "                [--tz +0900] [--split month|day] [--indicators "
          "FILE] [--plant FILE] [--decoys 2] [--sources a,b,..]\n"
          "       gen indicators --n N --out FILE [--planted K --plant-out "
          "FILE] [--seed 1] [--span ..] [--mix kind=weight,...]\n"
          "                [--max-count 200] [--max-days 500]\n",
        stderr);
    return 2;
}
