import Foundation

/// A large image's part of the pixels that may be decoded at once: threads wait for each other instead of filling the
/// memory together. Held as long as the decoded image lives; one image alone is always let in.
final class DecodeShare: Sendable {
    /// Pixels below which nobody waits.
    static let smallImage = 16 << 20
    private static let condition = NSCondition()
    nonisolated(unsafe) private static var inUse = 0  // guarded by the condition
    private let pixels: Int

    init(pixels: Int) {
        self.pixels = pixels
        Self.condition.lock()
        while Self.inUse > 0, Self.inUse + pixels > PixelImage.largestPixelCount { Self.condition.wait() }
        Self.inUse += pixels
        Self.condition.unlock()
    }

    deinit {
        Self.condition.lock()
        Self.inUse -= pixels
        Self.condition.broadcast()
        Self.condition.unlock()
    }
}
