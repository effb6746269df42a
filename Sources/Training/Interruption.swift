import Foundation
import Synchronization

/// Ctrl-C, SIGTERM, SIGUSR1 and a terminal that goes away (SIGHUP) end a run after the step at hand; a second Ctrl-C or SIGTERM ends
/// it at once. (A terminal that closes may send several SIGHUP.)
package enum Interruption {
    private static let flag = Atomic<Bool>(false)

    package static var isRequested: Bool { flag.load(ordering: .relaxed) }

    package static func watch() {
        // A parent may have left them blocked.
        var ours = sigset_t()
        sigemptyset(&ours)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] { sigaddset(&ours, number) }
        pthread_sigmask(SIG_UNBLOCK, &ours, nil)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                Interruption.flag.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
        }
        // mpirun and batch systems forward it: stop at the next step, as often as it comes.
        signal(SIGUSR1) { _ in Interruption.flag.store(true, ordering: .relaxed) }
        // nohup's wish is kept.
        var before = sigaction()
        sigaction(SIGHUP, nil, &before)
        guard unsafeBitCast(before.__sigaction_handler.sa_handler, to: Int.self) != 1 else { return }
        signal(SIGHUP) { _ in Interruption.flag.store(true, ordering: .relaxed) }
    }
}
