package import Training

/// What becomes known of a mixture's job.
package protocol MixtureObserver {
    /// What a person should know.
    func note(_ text: String)
    /// What was asked for.
    func result(_ text: String) throws
    func progress(_ what: String, _ done: Int, of total: Int)
    /// Who sees an expert's training.
    func training(_ expert: Int, batch: Int) -> any RunObserver
}
