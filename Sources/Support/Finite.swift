extension Collection<Float> where Index == Int {
    /// Where the first NaN or infinity stands.
    package var firstNonFinite: Int? {
        let exponent: UInt32 = 0x7F80_0000
        let isBad = withContiguousStorageIfAvailable { values in
            // Without an early end the loop is vectorised.
            var found: UInt32 = 0
            for value in values { found |= value.bitPattern & exponent == exponent ? 1 : 0 }
            return found != 0
        }
        return isBad == false ? nil : firstIndex { !$0.isFinite }
    }
}
