#include "base/fault.h"

_Thread_local long nr_fault_left = -1;
_Thread_local bool nr_fault_hit;
