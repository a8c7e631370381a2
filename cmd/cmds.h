/*
 * The commands of noroshi(1), one small file each: options, wiring, run. Each
 * gets the words after its name and returns an exit status of cli.h.
 */
#ifndef CMDS_H
#define CMDS_H

#include "cli.h"

#endif
