// The target needs one C file; everything is in the header.
#include "CLinuxShims.h"
