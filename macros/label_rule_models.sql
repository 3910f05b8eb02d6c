{# The models that make up each task's label rule: its file in `label_rules/`, and what this reads in the same room. A list of
   {task, models}. Usage: {% for rule in label_rule_models() %} #}
{% macro label_rule_models() -%}
    {%- set rules = [] -%}
    {%- set models = (graph.nodes.values() if execute else []) | selectattr('resource_type', 'equalto', 'model') | sort(attribute = 'name') -%}
    {%- for model in models if 'label_rules' in model.fqn -%}
        {%- set read = [] -%}
        {%- for parent in models if parent.unique_id in model.depends_on.nodes and 'datasets' in parent.fqn -%}
            {%- do read.append(parent.name) -%}
        {%- endfor -%}
        {%- do rules.append({'task': model.name.removeprefix('labels_'), 'models': [model.name] + read}) -%}
    {%- endfor -%}
    {{ return(rules) }}
{%- endmacro %}
