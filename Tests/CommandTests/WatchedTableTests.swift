import Foundation
import Testing

/// What `ceiling`, `timeouts` and `early-drop` say of a table that is not the one the flows pass,
/// and of a machine that is too small for what they are to do.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct WatchedTableTests {
    @Test("a ceiling is not said to be that of a table the connections do not pass")
    func saysThatConnectionsPassBy() throws {
        let ceiling =
            "\"$ctlab\" ceiling --target 127.0.0.1:9000 --start 300 --most 300 --rate 1000/s"
        // Nothing in this namespace needs tracking.
        let named = try LoadScript.run(ceiling + " --observe local", tracked: false)
        #expect(named.status == 1, "\(named.error)")
        #expect(named.output.contains("ceiling: no limit up to 300 connections"))
        let sentence = "300 connections stood and the table of local grew by 0: they do not pass"
        #expect(named.error.contains("not the table's ceiling: " + sentence), "\(named.error)")
        // Nobody has asked for that table.
        let standard = try LoadScript.run(ceiling, tracked: false)
        #expect(standard.status == 0, "\(standard.error)")
        #expect(standard.output.contains("not the table's: 300 connections stood and the table of"))
        let tracked = try LoadScript.run(ceiling + " --observe local")
        #expect(tracked.status == 0, "\(tracked.error)")
        #expect(tracked.output == "ceiling: no limit up to 300 connections\n")
    }

    @Test("datagrams that pass by the table are said, too")
    func saysThatDatagramsPassBy() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" ceiling --udp --target 127.0.0.1:9000-9009 --most 2000 --rate 1000/s \
                --observe local
            """, tracked: false)
        #expect(command.status == 1, "\(command.error)")
        #expect(command.error.contains("and the table of local grew by 0"), "\(command.error)")
    }

    @Test("timeouts of a table the flows do not pass are not waited for, and none is no success")
    func findsNoTimeouts() throws {
        let began = Date()
        let command = try LoadScript.run(
            "\"$ctlab\" timeouts --target 127.0.0.1:9000 --of rst --of udp --at-most 9m",
            tracked: false)
        #expect(command.status == 1, "\(command.error)")
        #expect(
            command.output.contains(
                "rst: 1000 flows were opened and ended and the table of this namespace grew by 0"),
            "\(command.output)")
        #expect(command.error.contains("no timeout was found of rst, udp"), "\(command.error)")
        #expect(Date().timeIntervalSince(began) < 300)
    }

    @Test("a timeout that is longer than the wait is none found")
    func waitsNoLonger() throws {
        let command = try LoadScript.run(
            """
            "$ctlab" timeouts --target 127.0.0.1:9000 --of client-fin --flows 200 --at-most 3s
            """)
        #expect(command.status == 1, "\(command.error)")
        #expect(command.output.contains("client-fin: no timeout found within 3s"))
        #expect(command.error.contains("no timeout was found of client-fin"), "\(command.error)")
    }

    @Test("who gives way is not told of a table that was not filled")
    func fillsNothing() throws {
        let scratch = try Scratch()
        let rules = try scratch.file("none.nft", Data("table ip none { }\n".utf8))
        let command = try Command.run([
            "lab", "run", "--name", "ctlab-watch-\(getpid())", "--rules", rules, "--set",
            "nf_conntrack_max=600", "--", "early-drop", "--rate", "600/s",
        ])
        #expect(command.status == 1, "\(command.error)")
        #expect(command.error.contains("the table was not filled: "), "\(command.error)")
        #expect(command.error.contains("they do not pass through it"), "\(command.error)")
        #expect(!command.output.contains("full of"), "\(command.output)")
    }

    // MARK: Beforehand

    @Test("ceiling says beforehand what this machine has not got")
    func looksBeforeCeilings() throws {
        let command = try LoadScript.run(
            """
            sysctl -q -w net.ipv4.ip_local_port_range='20000 20049'
            "$ctlab" ceiling --target 127.0.0.1:9000 --start 10 --most 200 --rate 100/s \
                --sources 198.51.100.9 --processes 1 --descriptors 164 --at-most 1s
            """)
        for sentence in [
            "1 processes of 164 descriptors have room for 100",
            "about 200 source ports are needed, and 50 are there",
            "--sources: 198.51.100.9 is no address of this machine",
        ] {
            #expect(command.error.contains(sentence), "\(command.error)")
        }
    }

    @Test("timeouts and early-drop say it as well")
    func looksBeforeTheOthers() throws {
        let timeouts = try LoadScript.run(
            """
            "$ctlab" timeouts --target 127.0.0.1:9000 --of udp --flows 500 --descriptors 164 \
                --at-most 1s
            """)
        #expect(timeouts.error.contains("500 sockets are needed"), "\(timeouts.error)")
        let name = "ctlab-watch-\(getpid())"
        let drops = try Command.run([
            "lab", "run", "--name", name, "--set", "nf_conntrack_max=600", "--", "early-drop",
            "--rate", "600/s", "--sources", "198.51.100.9",
        ])
        #expect(drops.status != 0)
        #expect(drops.error.contains("198.51.100.9 is no address"), "\(drops.error)")
    }

    @Test(
        "a limit that leaves a process no connection is refused, with what to do",
        arguments: [
            "load --quick hold --flows 5 --for 1s", "ceiling --most 5 --start 5",
            "timeouts --of rst",
        ])
    func refusesTooFewDescriptors(_ arguments: String) throws {
        let command = try LoadScript.run(
            "ulimit -n 64; \"$ctlab\" \(arguments) --target 127.0.0.1:9000")
        #expect(command.status == 4, "\(command.error)")
        #expect(
            command.error.contains(
                "found a limit of 64 descriptors, expected more than 64, which a process needs for "
                    + "itself; raise it: ulimit -n 1024"), "\(command.error)")
    }

    @Test("one slot a process does not make a process a connection")
    func boundsProcesses() throws {
        let command = try LoadScript.run(
            """
            ulimit -n 65
            "$ctlab" load --quick hold --flows 200 --for 1s --target 127.0.0.1:9000 &
            load=$!
            most=0
            while kill -0 $load 2> /dev/null; do
                now=$(pgrep -cP $load); [ "$now" -gt $most ] && most=$now
                sleep 0.1
            done
            wait $load
            echo "processes: $most"
            """)
        #expect(command.output.contains("processes: 16\n"), "\(command.output) \(command.error)")
        #expect(command.error.contains("16 processes of 65 descriptors have room for 16; raise"))
        let many = try LoadScript.run(
            """
            ulimit -n 100
            "$ctlab" load --quick hold --flows 200 --for 1s --processes 200 --target 127.0.0.1:9000
            """)
        #expect(many.status == 4, "\(many.error)")
        #expect(many.error.contains("fewer --processes, or a higher limit: ulimit -n"))
    }
}
