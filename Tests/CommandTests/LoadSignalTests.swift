import Foundation
import LinuxCalls
import LoadGen
import Testing
import Wire

/// Signals while a command watches or waits: it ends at once and cleanly, and says what it had.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct LoadSignalTests {
    @Test(
        "an ssh that does not answer keeps nobody waiting who is told to stop",
        arguments: [
            "load --quick churn --target 127.0.0.1:9000 --for 1s --observe ssh:gw",
            "observe ssh:gw",
            "lab run --name $lab -- load --quick churn --for 1s --observe ssh:gw",
            "lab run --name $lab -- ceiling --observe ssh:gw",
        ])
    func endsTheFirstWait(_ arguments: String) throws {
        // Nothing is loaded: what is watched has to answer first.
        let script = """
            lab=ctlab-signal-$$
            folder=$(mktemp -d)
            printf '#!/bin/sh\\ntouch %s/asked\\nexec sleep 60\\n' $folder > $folder/ssh
            chmod +x $folder/ssh
            PATH=$folder:$PATH "$1" \(arguments) > $folder/out &
            load=$!
            while [ ! -e $folder/asked ] && kill -0 $load; do sleep 0.05; done
            sleep 0.3
            began=$(date +%s%N)
            kill -TERM $load
            wait $load
            status=$?
            echo "ms: $((($(date +%s%N) - began) / 1000000))"
            ls /run/netns 2> /dev/null | grep $lab
            rm -r $folder
            exit $status
            """
        let command = try Command.run(
            program: "/bin/bash", ["-c", script, "bash", Command.program.path])
        // Outside a lab, before anything is done, the signal itself may end the process.
        #expect([5, 128 + 15].contains(command.status), "\(command.error)")
        let milliseconds = try #require(
            Int(command.output.dropFirst("ms: ".count).prefix { $0.isNumber }), "\(command.output)")
        // The wait would be fifteen seconds; what the lab takes to go is in it.
        #expect(milliseconds < 9000)
        #expect(!command.output.contains("ctlab-signal"), "\(command.output)")
    }

    @Test(
        "observe ends at once; with --for it says how much it has seen",
        arguments: ["INT", "TERM", "HUP"])
    func endsObserve(_ signal: String) throws {
        let command = try LoadScript.run(
            """
            "$ctlab" observe > $2.out &
            watch=$!
            until grep -q '^ *1 ' $2.out || ! kill -0 $watch; do sleep 0.05; done
            kill -TERM $watch
            wait $watch || exit 70
            env --default-signal=HUP,INT "$ctlab" observe --for 600 > $2.again &
            watch=$!
            until grep -q '^ *1 ' $2.again || ! kill -0 $watch; do sleep 0.05; done
            kill -\(signal) $watch
            wait $watch
            """)
        #expect(command.status == 5, "\(command.error)")
        #expect(command.error.contains("interrupted; "), "\(command.error)")
        #expect(command.error.contains(" of 600 seconds were watched"), "\(command.error)")
    }

    @Test("timeouts ends while it waits for a group to go, and keeps what it has told")
    func endsTimeouts() throws {
        let command = try LoadScript.run(
            """
            sysctl -q -w net.netfilter.nf_conntrack_tcp_timeout_close=3
            env --default-signal=INT "$ctlab" timeouts --target 127.0.0.1:9000 --of rst \
                --of client-fin --flows 200 > $2.out &
            timeouts=$!
            until grep -q '^rst: ' $2.out || ! kill -0 $timeouts; do sleep 0.05; done
            sleep 3
            kill -INT $timeouts
            wait $timeouts
            status=$?
            cat $2.out
            exit $status
            """)
        #expect(command.status == 5, "\(command.error)")
        #expect(command.error.contains("interrupted; "), "\(command.error)")
        #expect(command.output.contains("rst: "), "\(command.output)")
        #expect(command.output.contains("nf_conntrack_tcp_timeout_close"), "\(command.output)")
    }

    @Test("early-drop ends in the middle of a trial, says how far it was, and puts things back")
    func endsEarlyDrop() throws {
        // In the machine's own namespace: the maximum is writable there alone.
        let scratch = try Scratch()
        let script = """
            lab=ctlab-signal-$$
            env --default-signal=INT "$1" lab run --name $lab --set nf_conntrack_max=3001 -- \
                early-drop --rate 100/s > $2.out 2> $2.err &
            trial=$!
            until grep -q '^1 s: ' $2.err || ! kill -0 $trial; do sleep 0.05; done
            kill -INT $trial
            wait $trial
            status=$?
            cat $2.out; cat $2.err >&2
            ls /run/netns | grep $lab
            cat /proc/sys/net/netfilter/nf_conntrack_max
            exit $status
            """
        let command = try Command.run(
            program: "/bin/bash",
            ["-c", script, "bash", Command.program.path, scratch.folder.path + "/told"])
        #expect(command.status == 5, "\(command.error)")
        #expect(command.error.contains("interrupted; the trial is partial"), "\(command.error)")
        #expect(command.output.contains("unreplied flows begun, 0 connections stood at last"))
        #expect(!command.output.contains("ctlab-signal"), "\(command.output)")
        #expect(!command.output.contains("\n3001\n"), "\(command.output)")
    }

    @Test(
        "a stop that comes with the order itself is heeded", arguments: ["stop", "hold 0 0\nstop"])
    func heedsTheFirstStop(_ further: String) throws {
        let address = Address(ipv4: 0x7F00_0001)
        let permit = try TargetGate().permit(host: "127.0.0.1", addresses: [(.ipv4, address)])
        let target = TargetPool(addresses: AddressPool(.ipv4, first: address), firstPort: 9)
        var workload = QuickProfile.hold.workload(target)
        workload.model = .held(count: 1, startsPerSecond: 1)
        let order = WorkerOrder(
            plan: Plan(workloads: [workload], duration: 120_000_000_000),
            origin: MonotonicClock.now(), slotCount: 8, processor: nil, claim: permit.claim)
        let process = Process()
        process.executableURL = Command.program
        process.arguments = ["load-worker"]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        // Both are there before anybody reads, and the input does not end.
        try input.fileHandleForWriting.write(
            contentsOf: Data("\(WorkerLine.text(order))\n\(further)\n".utf8))
        try process.run()
        let told = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        try input.fileHandleForWriting.close()
        #expect(process.terminationStatus == 0)
        let lines = String(decoding: told, as: UTF8.self).split(separator: "\n").map(String.init)
        let report = try #require(
            lines.last.flatMap { WorkerLine.value(WorkerReport.self, $0) }, "\(lines)")
        #expect(report.isLast)
        #expect(report.elapsed < 100_000_000_000)
    }
}
