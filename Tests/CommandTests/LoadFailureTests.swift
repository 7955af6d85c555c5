import Foundation
import LoadGen
import Testing
import Wire

/// What goes wrong while real sockets are at it: each has a sentence, an exit code, and a report of
/// what was done until then.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct LoadFailureTests {
    static let nothingListens =
        "nothing listens at 127.0.0.1:9; start what should, such as: ctlab sink --tcp PORT\n"

    @Test("nobody listening is said with call, peer and reason, and what to do")
    func saysWhoRefused() throws {
        let command = try LoadScript.run(
            "\"$ctlab\" load --quick churn --target 127.0.0.1:9 --rate 50/s --for 2s")
        #expect(command.status == 1)
        #expect(command.output.contains("× connect 127.0.0.1:9: Connection refused (errno 111)"))
        #expect(command.output.contains("limit: the target refuses connections"))
        #expect(command.error.contains(Self.nothingListens), "\(command.error)")
    }

    @Test(
        "a run in which nothing came about does not end well, however short and whatever it sent",
        arguments: [
            ("load --quick churn --target 127.0.0.1:9 --rate 50/s --for 400ms", nothingListens),
            (
                "load --quick fanout --target 127.0.0.1:7 --rate 50/s --for 400ms",
                "none of 20 flows to 127.0.0.1:7 came about: send 127.0.0.1:7: Operation not "
                    + "permitted (errno 1)"
            ),
            ("ceiling --target 127.0.0.1:9 --start 1 --most 1 --rate 20/s", nothingListens),
        ])
    func saysThatNothingCameAbout(_ arguments: String, _ sentence: String) throws {
        let command = try LoadScript.run(
            """
            nft 'table ip r { chain o { type filter hook output priority 0; udp dport 7 reject; }; }'
            "$ctlab" \(arguments)
            """)
        #expect(command.status == 1, "\(command.output)")
        #expect(command.error.contains(sentence), "\(command.error)")
    }

    @Test("what is observed and does not answer keeps the run from beginning")
    func looksBefore() throws {
        let command = try LoadScript.run(
            """
            folder=$(mktemp -d)
            printf '#!/bin/sh\\nexit 255\\n' > $folder/ssh; chmod +x $folder/ssh
            PATH=$folder:$PATH "$ctlab" load --quick churn --target 127.0.0.1:9000 --for 1s \
                --observe ssh:gw
            status=$?
            rm -r $folder
            exit $status
            """)
        #expect(command.status == 4)
        #expect(command.error.contains("ssh gw ended with code 255"), "\(command.error)")
        #expect(command.output.isEmpty)
    }

    @Test("a target that dies in the middle is said, with the second it died in")
    func saysWhenTheTargetDied() throws {
        let command = try LoadScript.run(
            """
            (sleep 2.7; kill -KILL $sink) &
            "$ctlab" load --quick churn --target 127.0.0.1:9000 --rate 100/s --for 5s
            """)
        #expect(command.status == 1)
        let since = command.error.firstRange(of: "since second ").flatMap {
            Int(command.error[$0.upperBound...].prefix { $0.isNumber })
        }
        #expect(try (2...6).contains(#require(since)), "\(command.error)")
        #expect(
            command.error.contains(
                "nothing has listened at 127.0.0.1:9000 since second \(since ?? 0) of the run; start "
                    + "what should, such as: ctlab sink --tcp PORT\n"), "\(command.error)")
        #expect(command.output.contains("churn: 4") || command.output.contains("churn: 5"))
        #expect(command.output.contains("Connection refused"))
    }

    @Test("a target that is not well is spared the rest")
    func stopsForHealth() throws {
        let command = try LoadScript.run(
            """
            (sleep 2.5; kill -KILL $sink) &
            "$ctlab" load --quick churn --target 127.0.0.1:9000 --rate 100/s --for 60s \
                --health tcp --health-failures 2
            """)
        #expect(command.status == 5, "\(command.error)")
        #expect(
            command.error.contains("connect 127.0.0.1:9000 failed 2 times in a row, at last: "),
            "\(command.error)")
        #expect(command.error.contains("the run was stopped, and the report is partial"))
        #expect(command.output.contains("churn: "))
    }

    @Test("a probe that cannot be read is refused", arguments: ["icmp", "tcp:nowhere", "ftp://x"])
    func refusesProbes(_ text: String) throws {
        let command = try LoadScript.run(
            "\"$ctlab\" load --quick churn --target 127.0.0.1:9000 --for 1s --health '\(text)'")
        #expect(command.status == 2)
        #expect(command.error.contains("--health: found '\(text)'; expected tcp for TCP targets"))
    }

    @Test("a worker that is killed leaves a partial report and a code of its own")
    func survivesKilledWorkers() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick churn --target 127.0.0.1:9000 --rate 200/s --for 60s \
                --processes 2 &
            load=$!
            while [ "$(pgrep -cP $load)" != 2 ]; do sleep 0.05; done
            sleep 2.5
            kill -KILL $(pgrep -P $load | head -1)
            sleep 0.5
            kill -TERM $load
            wait $load
            """)
        #expect(command.status == 1)
        #expect(command.error.contains("ended with code 137"), "\(command.error)")
        #expect(command.output.contains("churn: "))
    }

    @Test("time that jumps under a worker is made up for or told, and drops no start unsaid")
    func survivesJumps() throws {
        // A process that is stopped sees the clock jump when it goes on, as a suspended machine does.
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick churn --target 127.0.0.1:9000 --rate 100/s --for 4s \
                --arrivals uniform &
            load=$!
            while [ "$(pgrep -cP $load)" != 1 ]; do sleep 0.05; done
            sleep 1.5
            kill -STOP $(pgrep -P $load); sleep 1; kill -CONT $(pgrep -P $load)
            wait $load
            """)
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.contains("churn: 400 started"), "\(command.output)")
        #expect(
            command.output.contains("the generator was behind its schedule by up to "),
            "\(command.output)")
    }

    @Test("a worker that hangs is ended, and that is said")
    func endsHangingWorkers() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick churn --target 127.0.0.1:9000 --rate 100/s --for 2s &
            load=$!
            while [ "$(pgrep -cP $load)" != 1 ]; do sleep 0.05; done
            sleep 1.6
            kill -STOP $(pgrep -P $load)
            wait $load
            """)
        #expect(command.status == 1)
        #expect(command.error.contains("worker 1 hung and was ended"), "\(command.error)")
        #expect(command.output.contains("churn: "))
    }

    @Test(
        "a signal stops the run cleanly: a report, and nothing left behind",
        arguments: ["TERM", "HUP"])
    func stopsCleanly(_ signal: String) throws {
        let command = try LoadScript.run(
            """
            env --default-signal=HUP "$ctlab" load --quick hold --flows 100 --target 127.0.0.1:9000 --for 60s &
            load=$!
            while [ "$(pgrep -cP $load)" != 1 ]; do sleep 0.05; done
            sleep 1.5
            workers=$(pgrep -P $load)
            kill -\(signal) $load
            wait $load
            status=$?
            for worker in $workers; do kill -0 $worker 2> /dev/null && exit 77; done
            exit $status
            """)
        #expect(command.status == 5, "\(command.error)")
        #expect(command.output.contains("hold: 100 started"), "\(command.output)")
        #expect(command.error.contains("interrupted"))
    }

    @Test("two signals end it at once, and so does the death of the command itself")
    func endsAtOnce() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick request --hold 30s --rate 20/s --target 127.0.0.1:9000 --for 60s &
            load=$!
            while [ "$(pgrep -cP $load)" != 1 ]; do sleep 0.05; done
            workers=$(pgrep -P $load)
            sleep 1.2
            # A worker that is stopped does not end when it is asked to.
            kill -STOP $workers
            kill -INT $load; sleep 0.3; kill -INT $load
            wait $load
            status=$?
            for worker in $workers; do kill -0 $worker 2> /dev/null && exit 77; done
            "$ctlab" load --quick hold --flows 10 --target 127.0.0.1:9000 --for 60s &
            load=$!
            while [ "$(pgrep -cP $load)" != 1 ]; do sleep 0.05; done
            workers=$(pgrep -P $load)
            sleep 1; kill -KILL $load; sleep 3
            for worker in $workers; do kill -0 $worker 2> /dev/null && exit 78; done
            exit $status
            """)
        #expect(command.status == 5, "\(command.error)")
        #expect(command.error.contains("interrupted twice"), "\(command.error)")
    }

    @Test("a port that is taken is said, with who may have it")
    func saysWhoHasThePort() throws {
        let command = try LoadScript.run("\"$ctlab\" sink --tcp 9000")
        #expect(command.status == 4)
        #expect(command.error.contains("Address already in use"), "\(command.error)")
        #expect(command.error.contains("ss -ltnup"))
    }

    @Test("too few descriptors are said beforehand, and what could not begin is counted")
    func saysDescriptors() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" load --quick hold --flows 500 --processes 1 --descriptors 164 --for 2s \
                --target 127.0.0.1:9000
            """)
        #expect(command.status == 0)
        #expect(command.error.contains("1 processes of 164 descriptors have room for 100"))
        #expect(command.output.contains("hold: 100 started, 100 connected"), "\(command.output)")
        #expect(command.output.contains("limit: the generator's descriptors"))
    }

    @Test("too few source ports are said beforehand, and what was refused for it is counted")
    func saysPorts() throws {
        let command = try LoadScript.run(
            """
            sysctl -q -w net.ipv4.ip_local_port_range='20000 20049'
            "$ctlab" load --quick hold --flows 200 --for 2s --target 127.0.0.1:9000
            """)
        #expect(command.status == 0)
        #expect(command.error.contains("about 200 source ports are needed, and 50 are there"))
        #expect(command.output.contains("50 connected"), "\(command.output)")
        #expect(command.output.contains("Cannot assign requested address (errno 99)"))
        #expect(command.output.contains("limit: the generator's source ports"))
    }

    @Test("a right that is missing is named where it is needed")
    func saysMissingRights() throws {
        let command = try LoadScript.run(
            """
            setpriv --bounding-set -all --inh-caps -all "$ctlab" load --quick request --rate 50/s \
                --for 1s --ending abandon --target 127.0.0.1:9000 --observe none
            """)
        #expect(command.output.contains("Operation not permitted"), "\(command.output)")
        // The rule that may be in the way is another thing.
        #expect(!command.output.contains("this machine's own table"), "\(command.output)")
    }

    // MARK: The gate, once more

    @Test("a worker refuses what the gate refuses, whoever orders it")
    func workersAskTheGate() throws {
        let target = TargetPool(
            addresses: AddressPool(.ipv4, first: Address(ipv4: 0xCB00_7101)), firstPort: 80)
        let plan = Plan(workloads: [QuickProfile.churn.workload(target)], duration: 1_000_000_000)
        // By right of loopback: the target is not within it.
        let loopback = try TargetGate().permit(
            host: "127.0.0.1", addresses: [(.ipv4, Address(ipv4: 0x7F00_0001))])
        // By right of a list that nobody has written.
        let listed = try TargetGate(
            allowed: AllowList(text: "203.0.113.1", path: "/no/such/list"), named: ["203.0.113.1"]
        ).permit(host: "203.0.113.1", addresses: [(.ipv4, Address(ipv4: 0xCB00_7101))])
        for (permit, sentence) in [
            (loopback, "goes beyond the target that is permitted"), (listed, "/no/such/list"),
        ] {
            let order = WorkerOrder(
                plan: plan, origin: 0, slotCount: 10, processor: nil, claim: permit.claim)
            let command = try Command.run(
                ["load-worker"], input: Data((WorkerLine.text(order) + "\n").utf8))
            #expect(command.status == 2)
            #expect(command.error.contains(sentence), "\(command.error)")
            #expect(command.output.isEmpty)
        }
    }
}
