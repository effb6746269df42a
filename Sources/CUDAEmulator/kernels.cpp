// The kernels' own text, compiled for the CPU.
#include "emulator.h"

#include "kernel.h"

#pragma clang diagnostic ignored "-Wunused-function"
#pragma clang diagnostic ignored "-Wshadow"

namespace pointwise {
#include "pointwise.cu"
}
namespace reduce {
#include "reduce.cu"
}
namespace gather {
#include "gather.cu"
}
namespace layernorm {
#include "layernorm.cu"
}
namespace normalize {
#include "normalize.cu"
}
namespace images {
#include "images.cu"
}
namespace optimise {
#include "optimise.cu"
}
namespace contrastive {
#include "contrastive.cu"
}
namespace attention {
#include "attention.cu"
}
