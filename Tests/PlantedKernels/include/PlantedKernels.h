// Registers kernels with planted faults, and their sound twins, by being linked; see PlantedTests.
#pragma once
#ifdef __cplusplus
extern "C" {
#endif
/// How many there are.
int planted_kernels(void);
#ifdef __cplusplus
}
#endif
