/* noroshi archive stat of an archive that is kept in ClickHouse. */
#ifndef CMD_ARCHIVE_FAR_H
#define CMD_ARCHIVE_FAR_H

#include "cli.h"
#include "clickhouse/clickhouse.h"

int archive_far_stat(struct cli *cli, const char *address);

#endif
