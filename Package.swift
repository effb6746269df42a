// swift-tools-version: 6.1
import PackageDescription

/// One line per module: its name and everything it imports. Imports point down only (docs/design.md).
let modules: [(name: String, imports: [Target.Dependency])] = [
    ("Support", ["CZlib", "CVersion"]),
    ("StrictYAML", ["Support", .product(name: "Yams", package: "Yams")]),
    ("Processes", ["Support", "CMPI"]),
    ("TensorCore", ["Support"]),
    ("TensorReference", ["TensorCore"]),
    ("TensorCPU", ["TensorCore", "Support", "CKernels", "COpenBLAS"]),
    ("TensorCUDA", ["TensorCore", "Support", "CCUDA"]),
    ("Layers", ["TensorCore", "Support"]),
    ("Weights", ["TensorCore", "Support"]),
    ("Objectives", ["TensorCore"]),
    ("Optimizers", ["TensorCore", "Support"]),
    ("Encoders", ["Layers", "TensorCore", "Support"]),
    ("Learning", ["Processes", "Objectives", "Optimizers", "Encoders", "Layers", "TensorCore", "Support"]),
    ("Images", ["Support", "CCodecs", "CPixels"]),
    ("Tokenization", ["StrictYAML", "Support", "CSentencePiece"]),
    ("Shards", ["Images", "Tokenization", "Support"]),
    ("Scenes", ["Shards", "Images", "Support"]),
    ("Models", ["Processes", "Encoders", "Layers", "Weights", "Images", "Tokenization", "TensorCore", "Support"]),
    ("Records", ["Support"]),
    ("Report", ["Records", "Support"]),
    (
        "Evaluation",
        [
            "Processes", "Models", "Encoders", "Shards", "Images", "Tokenization", "TensorCore", "StrictYAML",
            "Records", "Support",
        ]
    ),
    (
        "Experts",
        [
            "Processes", "Evaluation", "Models", "Encoders", "Layers", "Shards", "Tokenization", "Weights",
            "TensorCore", "StrictYAML", "Records", "Support",
        ]
    ),
    (
        "Training",
        [
            "Processes", "Learning", "Evaluation", "Models", "Encoders", "Objectives", "Optimizers", "Weights",
            "Layers", "Shards", "Images", "Tokenization", "TensorCore", "StrictYAML", "Records", "Support",
        ]
    ),
    ("Mixtures", ["Processes", "Training", "Experts", "Shards", "TensorCore", "Support"]),
    (
        "Doctor",
        [
            "Learning", "Models", "Encoders", "Layers", "Objectives", "Optimizers", "Weights", "Evaluation", "Images",
            "Tokenization", "TensorCore", "Support",
        ]
    ),
    ("Diptych", ["Models", "Images", "TensorCPU", "Support"]),
]

/// What results carry of where the program came from.
let commit = Context.gitInformation?.currentCommit ?? ""

/// Imports say how far they reach, members are seen where their module is imported, existentials are written out.
let settings: [SwiftSetting] = ["InternalImportsByDefault", "MemberImportVisibility", "ExistentialAny"].map {
    .enableUpcomingFeature($0)
}

let everyModule = modules.map { Target.Dependency.target(name: $0.name) }

let package = Package(
    name: "Diptych",
    products: [
        .library(name: "Diptych", targets: ["Diptych"]),
        .executable(name: "diptych", targets: ["DiptychCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .target(name: "COpenBLAS"),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CVersion", cSettings: [.define("DIPTYCH_COMMIT", to: "\"\(commit)\"")]),
        .target(name: "CKernels"),
        .target(name: "CMPI"),
        .target(name: "CCUDA"),
        .target(
            name: "CUDAEmulator",
            cxxSettings: [.headerSearchPath("."), .headerSearchPath("../CUDAKernels")]),
        .target(name: "CPixels"),
        .target(
            name: "CCodecs",
            linkerSettings: ["jpeg", "png", "webp", "webpdemux", "gif", "tiff"].map { .linkedLibrary($0) }),
        .target(
            name: "CSentencePiece",
            linkerSettings: [.linkedLibrary("sentencepiece"), .linkedLibrary("sentencepiece_train")]),
        .executableTarget(
            name: "DiptychCLI",
            dependencies: everyModule + [.product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: settings),
        .executableTarget(name: "search", dependencies: ["Diptych"], path: "Examples/Search", swiftSettings: settings),
        .executableTarget(name: "fuzz", dependencies: everyModule, path: "Tests/Fuzz/Driver", swiftSettings: settings),
        .target(
            name: "PlantedKernels", dependencies: ["CUDAEmulator"], path: "Tests/PlantedKernels",
            cxxSettings: [
                .headerSearchPath("../../Sources/CUDAEmulator"), .headerSearchPath("../../Sources/CUDAKernels"),
            ]),
        .executableTarget(
            name: "cuda-check", dependencies: everyModule + ["TestKit"], path: "Tests/CUDACheck",
            swiftSettings: settings),
        .target(
            name: "TestKit", dependencies: everyModule + ["CUDAEmulator", "CCUDA"], path: "Tests/TestKit",
            swiftSettings: settings),
    ]
        + [
            "SupportTests", "ProcessesTests", "StrictYAMLTests", "TensorCoreTests", "TensorCPUTests", "TensorCUDATests",
            "WeightsTests",
            "OptimizersTests",
            "EncodersTests", "LearningTests", "ImagesTests", "TokenizationTests", "ShardsTests", "ScenesTests",
            "ModelsTests", "ReportTests", "EvaluationTests", "ExpertsTests", "TrainingTests", "DoctorTests",
            "JourneyTests",
        ]
        .map {
            .testTarget(
                name: $0, dependencies: everyModule + ["TestKit", "CUDAEmulator", "CCUDA", "PlantedKernels"],
                swiftSettings: settings)
        } + modules.map { .target(name: $0.name, dependencies: $0.imports, swiftSettings: settings) },
    cxxLanguageStandard: .cxx17
)
