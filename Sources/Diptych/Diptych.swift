// What an app that embeds Diptych imports: models from folders, images, tokenizers, the CPU device.
@_exported import Encoders
@_exported import Evaluation
@_exported import Images
@_exported import Support
@_exported import TensorCPU
@_exported import TensorCore
@_exported import Tokenization
