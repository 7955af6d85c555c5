import ArgumentParser
import Foundation
import LinuxCalls
import Report

// The command: arguments in, exit code out, nothing else.

@main
struct Ctlab: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ctlab",
        abstract: "Linux connection tracking, in memory and without a kernel.",
        discussion: """
            Takes packets somebody captured, pushes them through a faithful model of one Linux \
            machine's connection tracking and NAT, and shows what the kernel would have done \
            with each.

            EXAMPLES
              ctlab replay trace.pcap
              ctlab replay trace.pcap --node gateway.yaml --list --stats
              tcpdump -w - -U | ctlab replay - --format jsonl

            EXIT CODES
              0  good
              1  an input/output error, or a capture that is damaged
              2  wrong usage, or a file that cannot be read
              3  an expectation failed
              4  this machine does not fit
              5  interrupted, with a partial result
            """,
        version: ProductVersion.text,
        subcommands: [
            RunCommand.self, ReplayCommand.self, VerifyCommand.self, ValidateCommand.self,
            ListCommand.self,
            LoadCommand.self, SinkCommand.self, ObserveCommand.self, CeilingCommand.self,
            CompareCommand.self, TimeoutsCommand.self, EarlyDropCommand.self, LabCommand.self,
            LoadWorkerCommand.self,
        ])

    static func main() {
        StandardStream.surviveClosedReaders()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            Message.error(failure.text)
            Foundation.exit(failure.code.rawValue)
        } catch {
            leave(with: error)
        }
    }

    /// Ends the process as the argument parser's errors ask for: help and version are no failure,
    /// anything else is wrong usage.
    private static func leave(with error: any Error) -> Never {
        let text = fullMessage(for: error)
        guard exitCode(for: error).isSuccess else {
            Message.write(text)
            Foundation.exit(ExitStatus.usage.rawValue)
        }
        do throws(Failure) {
            try Output.line(text)
        } catch {
            Message.error(error.text)
            Foundation.exit(error.code.rawValue)
        }
        Foundation.exit(ExitStatus.good.rawValue)
    }
}

/// The exit codes of every subcommand.
enum ExitStatus: Int32 {
    case good = 0
    case failed = 1
    case usage = 2
    case expectation = 3
    case environment = 4
    case interrupted = 5
}

/// Why a command ends with something else than 0.
struct Failure: Error {
    var code: ExitStatus
    var text: String
}

/// What goes to standard error.
enum Message {
    /// A line as it is.
    static func write(_ text: String) {
        _ = try? StandardStream.error.write(Array((text + "\n").utf8).span)
    }

    /// A line that says who speaks; several lines already say where.
    static func error(_ text: String) { write("ctlab: \(text)") }
}
