import CUDAEmulator
import PlantedKernels
import TestKit
import Testing

/// The emulator's own test: what it is there to find, it finds.
@Suite struct PlantedTests {
    private static let names = [
        "planted_read_too_early", "planted_overwrite_too_early", "planted_wait_for_too_few",
        "planted_barrier_not_for_all",
    ]

    /// What each schedule came to: the emulator's status and the bits of y.
    private func runs(_ name: String, isSound: Bool) -> [(status: Int32, bits: [UInt32])] {
        EmulatedCUDA.Schedule.allCases.map { schedule in
            var (x, y) = ((0..<256).map(Float.init), [Float](repeating: -1, count: 64))
            var sound: Int32 = isSound ? 1 : 0
            let status = x.withUnsafeMutableBufferPointer { x in
                y.withUnsafeMutableBufferPointer { y in
                    var (xAddress, yAddress) = (x.baseAddress, y.baseAddress)
                    return withUnsafeMutablePointer(to: &xAddress) { xPlace in
                        withUnsafeMutablePointer(to: &yAddress) { yPlace in
                            withUnsafeMutablePointer(to: &sound) { soundPlace in
                                var arguments: [UnsafeMutableRawPointer?] = [
                                    .init(yPlace), .init(xPlace), .init(soundPlace),
                                ]
                                return emulator_launch(name, [1, 1, 1], 64, 512, &arguments, schedule.rawValue)
                            }
                        }
                    }
                }
            }
            return (status, y.map(\.bitPattern))
        }
    }

    @Test("A planted race, a wait for too few copies and a barrier not all come to are found", arguments: names)
    func found(_ name: String) {
        #expect(planted_kernels() == Self.names.count)
        let runs = runs(name, isSound: false)
        #expect(runs.contains { $0.status != 0 || $0.bits != runs[0].bits })
    }

    @Test("Their sound twins give the same bits in every order", arguments: names)
    func sound(_ name: String) {
        let runs = runs(name, isSound: true)
        #expect(runs.allSatisfy { $0.status == 0 && $0.bits == runs[0].bits })
    }
}
