/* driver.c - the table of drivers. */
#include "load/driver.h"

#include <string.h>

static const driver *const drivers[] = {&driver_sql,  &driver_notify, &driver_both,
                                        &driver_pipe, &driver_http,   &driver_centrifugo,
                                        &driver_nats};

const driver *driver_find(const char *name)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    return NULL;
}
