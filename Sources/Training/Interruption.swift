import Foundation
import Synchronization

/// Ctrl-C and SIGTERM end a run after the step at hand; a second one ends it at once.
public enum Interruption {
    private static let flag = Atomic<Bool>(false)

    public static var isRequested: Bool { flag.load(ordering: .relaxed) }

    public static func watch() {
        // A parent may have left them blocked.
        var ours = sigset_t()
        sigemptyset(&ours)
        for number in [SIGINT, SIGTERM] { sigaddset(&ours, number) }
        pthread_sigmask(SIG_UNBLOCK, &ours, nil)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                Interruption.flag.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
        }
    }
}
