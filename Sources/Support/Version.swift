/// The program's version, as `--version` prints it and results carry it.
public enum Version {
    public static let text = "0.2.0"
}
