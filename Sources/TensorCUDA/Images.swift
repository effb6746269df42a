import CCUDA
import TensorCore

extension CUDADevice {
    func normalizePixels(_ call: Kernel.NormalizePixels) {
        launch(
            "images", "normalize_pixels", grid: blocks(call.y.count, of: 256), threads: 256, address(call.y),
            address(call.x, .uint8), address(call.table, .float32), Int32(call.x.shape[1] * call.x.shape[2]),
            UInt64(call.y.count))
    }

    private func patches(_ shape: [Int], _ patch: Int) -> ccuda_patches {
        ccuda_patches(
            channels: Int32(shape[1]), height: Int32(shape[2]), width: Int32(shape[3]), patch: Int32(patch))
    }

    func patchify(_ call: Kernel.Patchify) {
        launch(
            "images", "patchify_\(suffix(call.y))", grid: blocks(call.y.count, of: 256), threads: 256, address(call.y),
            address(call.images, call.y.element), patches(call.images.shape, call.patch), UInt64(call.y.count))
    }

    func patchifyGradient(_ call: Kernel.PatchifyGradient) {
        clear(call.dImages)
        launch(
            "images", "patchify_gradient_\(suffix(call.dy))", grid: blocks(call.dy.count, of: 256), threads: 256,
            address(call.dImages, call.dy.element), address(call.dy), patches(call.dImages.shape, call.patch),
            UInt64(call.dy.count))
    }

    private func map(_ windows: Windows, columns: Int) -> ccuda_map {
        ccuda_map(
            inputs: Int32(windows.inputs), outputs: Int32(windows.outputs), taps: Int32(windows.taps),
            columns: Int32(columns))
    }

    func unfold(_ call: Kernel.Unfold) {
        launch(
            "images", "unfold_\(suffix(call.x))", grid: blocks(call.y.count, of: 256), threads: 256, address(call.y),
            address(call.x), address(call.windows.table), map(call.windows, columns: call.x.columns),
            UInt64(call.y.count))
    }

    func unfoldGradient(_ call: Kernel.UnfoldGradient) {
        let seen = call.windows.table.groups(of: call.windows.inputs)
        launch(
            "images", "unfold_gradient_\(suffix(call.dy))", grid: blocks(call.dx.count, of: 256), threads: 256,
            address(call.dx), address(call.dy), address(seen.starts), address(seen.order),
            map(call.windows, columns: call.dx.columns), UInt64(call.dx.count))
    }

    func depthwise(_ call: Kernel.Depthwise) {
        launch(
            "images", "depthwise_\(suffix(call.x))", grid: blocks(call.y.count, of: 256), threads: 256,
            address(call.y), address(call.x), address(call.weight, call.x.element), address(call.bias, call.x.element),
            address(call.windows.table), map(call.windows, columns: call.x.columns), UInt64(call.y.count))
    }

    func depthwiseGradient(_ call: Kernel.DepthwiseGradient) {
        let (windows, columns) = (call.windows, call.x.columns)
        let (map, seen) = (map(windows, columns: columns), windows.table.groups(of: windows.inputs))
        launch(
            "images", "depthwise_gradient_\(suffix(call.x))", grid: blocks(call.dx.count, of: 256), threads: 256,
            address(call.dx), address(call.dy), address(call.weight, call.x.element), address(seen.starts),
            address(seen.order), map, UInt64(call.dx.count))
        let across = (columns + 31) / 32
        let (count, each) = rowParts(call.dy.rows, columnBlocks: across * windows.taps)
        let parts = scratch(count * columns * windows.taps)
        launch(
            "images", "depthwise_weight_parts_\(suffix(call.x))", grid: (across, count, windows.taps), threads: 256,
            shared: 1024, address(parts), address(call.x), address(call.dy, call.x.element), address(windows.table),
            map, Int32(call.dy.rows), Int32(each))
        sumParts(parts, count, into: call.dWeight)
    }
}
