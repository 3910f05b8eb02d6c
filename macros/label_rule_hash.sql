{# The hash of the SQL of a task's label rule, as an expression: of its file in `label_rules/` and of what this reads in the same room;
   null of a task whose labels people decide, and in a unit test, which has no graph. Usage: {{ label_rule_hash('calendar.task') }} #}
{% macro label_rule_hash(task) -%}
    {%- set models = graph.get('nodes', {}).values() | selectattr('resource_type', 'equalto', 'model') | sort(attribute = 'name') -%}
    {%- set hashes = {} -%}
    {%- for model in models if 'label_rules' in model.fqn -%}
        {%- set read = [] -%}
        {%- for parent in models if parent.unique_id in model.depends_on.nodes and 'datasets' in parent.fqn -%}
            {%- do read.append(parent.name) -%}
        {%- endfor -%}
        {%- do hashes.update({model.name.removeprefix('labels_'): sql_hash([model.name] + read)}) -%}
    {%- endfor -%}
    {%- if hashes -%}
    case {{ task }}{% for name, hash in hashes.items() %} when '{{ name }}' then '{{ hash }}'{% endfor %} end
    {%- else -%}
    cast(null as string)
    {%- endif -%}
{%- endmacro %}
