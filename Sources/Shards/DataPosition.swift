/// Where the next batch begins. Saved with a checkpoint, it continues the same sequence.
package struct DataPosition: Sendable, Equatable {
    package var epoch = 0
    /// Samples of this epoch's order already taken, faulty ones included.
    package var taken = 0
    package init(epoch: Int = 0, taken: Int = 0) {
        self.epoch = epoch
        self.taken = taken
    }
}
