// What an app that embeds Diptych imports: models from folders, images, tokenizers, the CPU device.
@_exported import Images
@_exported import Models
@_exported import Support
@_exported import TensorCPU
