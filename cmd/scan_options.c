#include "scan_options.h"

#include "observable/observable.h"

unsigned
scan_options_flags(const struct scan_options *o)
{
    return (o->fangs ? NR_SCAN_FANGS : 0) | (o->tcpdump ? NR_SCAN_PORTS : 0) |
        (o->ranges ? NR_SCAN_RANGES : 0) |
        (o->url_no_query ? NR_SCAN_URL_BARE : 0) |
        (o->url_prefix ? NR_SCAN_URL_PREFIX : 0);
}
