/* From a connection to a handler and back: what libmicrohttpd calls. */
#ifndef NR_HUB_ROUTE_H
#define NR_HUB_ROUTE_H

#include "hub/server.h"

enum MHD_Result nr_route_access(void *cls, struct MHD_Connection *conn,
    const char *url, const char *method, const char *version,
    const char *upload, size_t *upload_len, void **state);
void nr_route_completed(void *cls, struct MHD_Connection *conn, void **state,
    enum MHD_RequestTerminationCode code);

#endif
