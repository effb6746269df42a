import Foundation
import Support

/// What a process of ours sets up before anything else.
enum ProcessSetup {
    static func begin() {
        openStandardDescriptors()
        // A reader that goes away, and a file that may not grow, are errors of the call that writes.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        watchForRefusedMemory()
    }

    /// Descriptors 0 to 2 that a caller closed would be given to the next files we open, and take what is printed.
    private static func openStandardDescriptors() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 && errno == EBADF {
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY)
        }
    }

    /// Where memory is refused Swift's runtime and our tensors can only trap: the trap is told apart from a fault of ours by
    /// asking the system once more, and ends with a sentence and 71.
    private static func watchForRefusedMemory() {
        for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                let size = 64 << 20
                let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                if memory == MAP_FAILED || Machine.refusedMemory > 0 {
                    let sentence: StaticString =
                        "diptych: memory: the system refuses more. Raise ulimit -v or -d, or lower batch, chunk or --threads.\n"
                    _ = write(STDERR_FILENO, sentence.utf8Start, sentence.utf8CodeUnitCount)
                    _exit(Failure.Kind.machine.rawValue)
                }
                signal(number, SIG_DFL)
                raise(number)
            }
            action.sa_flags = Int32(truncatingIfNeeded: SA_RESETHAND) | SA_NODEFER
            sigaction(number, &action, nil)
        }
    }

    /// The arguments with names that need not be UTF-8.
    static var arguments: [String] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            CommandLine.unsafeArgv[index].map { word in
                String(nameBytes: UnsafeBufferPointer(start: word, count: strlen(word)).map { UInt8(bitPattern: $0) })
            }
        }
    }
}
