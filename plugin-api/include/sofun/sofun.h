/* Everything a plugin needs. */
#ifndef SOFUN_SOFUN_H
#define SOFUN_SOFUN_H

#include "declare.h"
#include "effects.h"
#include "list.h"
#include "operation.h"
#include "state.h"
#include "table.h"
#include "timer.h"

#endif
